"""The Django app of the result store `django-db`: django-celery-results' tables, migrations and admin pages.

It has that package's label, so that a project changes from one to the other by a line of INSTALLED_APPS: the tables
and the names of the migrations are the same.
"""
