from celery_rs.errors import OperationalError
class LinkLost(OperationalError): pass
class Refused(OperationalError):
    code = 0
def words_of(code, text, place): return f"{place.words()}: {code} {text}"
