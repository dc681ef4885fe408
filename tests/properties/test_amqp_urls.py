"""A place of a RabbitMQ, written as a URL, is read as that place again, whatever is in its names."""

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from celery_rs.errors import ImproperlyConfigured
from celery_rs.transports.amqp.location import Place, places_of

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda text: len(text.encode()) <= 255
)
hosts = st.sampled_from(["h", "rabbit.example.com", "127.0.0.1", "::1", "2001:db8::7"])
ports = st.integers(1, 65535)


def written(place: Place) -> str:
    host = f"[{place.host}]" if ":" in place.host else place.host
    user, password, vhost = (quote(part, safe="") for part in (place.user, place.password, place.vhost))
    return f"amqp://{user}:{password}@{host}:{place.port}/{vhost}"


places = st.builds(
    lambda host, port, user, password, vhost: Place(host, port, user, password, vhost, server_hostname=host),
    hosts, ports, names, names, names,
)  # fmt: skip


@given(st.lists(places, min_size=1, max_size=3))
def test_what_was_written_is_read(given: list[Place]) -> None:
    assert places_of(";".join(map(written, given))) == given


@given(places)
def test_what_is_shown_is_the_same_place_but_for_the_password(place: Place) -> None:
    (read,) = places_of(place.shown)

    assert (read.host, read.port, read.user, read.vhost) == (place.host, place.port, place.user, place.vhost)


@given(st.text(max_size=60), st.sampled_from(["amqp://", "amqps://", "pyamqp://", ""]))
def test_any_text_is_places_or_a_mistake_in_one_line(text: str, scheme: str) -> None:
    try:
        assert places_of(scheme + text)
    except ImproperlyConfigured as error:
        assert str(error).isprintable()  # noqa: PT017
