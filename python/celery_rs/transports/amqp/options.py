from dataclasses import dataclass
@dataclass(frozen=True)
class AmqpOptions:
    confirm_publish: bool=False; connect_timeout: float=4.0; heartbeat: float=60.0; begun_ttl_s: float=5.0; reconnect_grace_s: float=15.0
    @classmethod
    def of(cls, m): return cls(**{k:v for k,v in m.items() if k in cls.__dataclass_fields__})
