"""What an app does when it finds itself inside a framework: Celery's word is fixup, and the framework is Django.

Nothing of Django is imported, or looked for, unless DJANGO_SETTINGS_MODULE is set.
"""

import os
import warnings
from importlib.util import find_spec
from typing import Any

from celery_rs.app.classes import resolve
from celery_rs.errors import FixupWarning

DJANGO = "celery_rs.app.fixups:django"
VARIABLE = "DJANGO_SETTINGS_MODULE"
_FIXUP = "celery_rs.django:DjangoFixup"


def django(app: Any) -> Any:
    """What makes an app part of the project whose settings DJANGO_SETTINGS_MODULE names; None outside of one."""
    module = os.environ.get(VARIABLE)
    if not module:
        return None
    if find_spec("django") is None:
        warnings.warn(
            f"{VARIABLE} is {module!r}, and there is no Django here; pip install 'celery-rs[django]', or unset it",
            FixupWarning,
            stacklevel=4,
        )
        return None
    return resolve(_FIXUP, "fixups")(app)
