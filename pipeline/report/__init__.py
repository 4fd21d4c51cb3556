"""report.html: all that a pipeline left in its folder, on one page for people."""

from .page import write_report

__all__ = ["write_report"]
