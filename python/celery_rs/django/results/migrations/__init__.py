"""The steps from the first tables of django-celery-results to those of 2.6, under that package's names.

A database is taken over wherever that package has left it.
"""
