"""Settings: one table of them, and how each gets its value."""

from cadml_core.settings.loading import SettingSpec, load_settings, setting_specs
from cadml_core.settings.schema import Settings

__all__ = ["SettingSpec", "Settings", "load_settings", "setting_specs"]
