"""Settings of other packages: names that are none of ours and are kept as they are.

Celery keeps whatever it is given, so extensions read their settings from `app.conf`. Here a name is either in the table
or begins with the prefix of an extension that is known; the names of such settings may be in upper or lower case.
"""

_prefixes = ["redbeat_"]


def register_prefix(prefix: str) -> None:
    """Let settings whose names begin with `prefix`, in any case, pass unchecked: `register_prefix("redbeat_")`.

    Call it before the settings are read, as where the extension is imported. Registering twice changes nothing.
    Raises ValueError for an empty prefix.
    """
    if not prefix:
        raise ValueError("expected a prefix such as 'redbeat_', got ''")
    if prefix.lower() not in _prefixes:
        _prefixes.append(prefix.lower())


def is_extension(name: str) -> bool:
    return name.lower().startswith(tuple(_prefixes))
