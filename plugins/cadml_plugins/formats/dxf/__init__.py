"""DXF, through ezdxf."""
