"""The package of the nets that were built: its modules are files in the user's cache folder.

A pickle of a model names its classes, as `archc.built.tiny_0123.Tiny`; so other processes of the
user find them where Python looks for any module.
"""

from archc.cache import module_folders


def __getattr__(name: str) -> list[str]:
    if name == "__path__":
        return [str(folder) for folder in module_folders()]
    raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
