from dataclasses import dataclass
from urllib.parse import urlsplit, unquote
@dataclass(frozen=True)
class Place:
    host: str; port: int; user: str; password: str; vhost: str; tls: object = None; server_hostname: str = ""; login_method: str = "PLAIN"
    def words(self): return f"broker amqp://{self.user}:**@{self.host}:{self.port}/{self.vhost}"
def places_of(url, use_ssl):
    u=urlsplit(url); return [Place(u.hostname or "localhost", u.port or 5672, unquote(u.username or "guest"), unquote(u.password or "guest"), unquote(u.path[1:]) or "/")]
class Rotation:
    def __init__(self, places, failover): self.places=places
    def round(self): return self.places
    def words(self): return self.places[0].words()
