from types import SimpleNamespace

from trainer.memory import ByteCache


def test_cache_stays_below_its_limit_and_keeps_what_was_used_last():
    cache, reads = ByteCache(100), []

    def read(name, size=40):
        return cache.get(name, lambda: reads.append(name) or SimpleNamespace(nbytes=size))

    for name in "abacab":
        read(name)
    assert reads == ["a", "b", "c", "b"]
    read("huge", 1000)
    read("huge", 1000)
    assert reads[-2:] == ["huge", "huge"], "what is larger than the limit is not kept"
