"""``/parts/{id}/picture``, ``/parts/{id}/model.glb``, ``/pictures``: what parts look like."""
