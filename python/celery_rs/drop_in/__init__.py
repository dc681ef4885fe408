"""celery-rs in the place of Celery, for programs that are not to be changed: `import celery` finds ours.

Nothing happens until somebody asks: `install()`, `celery-rs --drop-in`, CELERY_RS_DROP_IN=1, or
`python -m celery_rs.drop_in program.py`.
"""

from celery_rs.drop_in.activate import install

__all__ = ["install"]
