"""The register map: addresses, fields, counters, digest; packet headers and error codes."""

import dataclasses

import pytest

from coldspike.spec.config import CoreConfig
from coldspike.spec.errors import REMEDIES, ErrorCode
from coldspike.spec.packets import FIRED_BIT, TWO_WORD_SPACES, WRITABLE_SPACES, Kind, Space, header
from coldspike.spec.registers import COUNTER_BASE, VERSION, Access, core_digest, counters, register_map

BUILDS = [CoreConfig(max_layers=n) for n in (1, 4, 15)]


@pytest.mark.parametrize("config", BUILDS, ids=lambda c: c.max_layers)
def test_addresses(config):
    registers = register_map(config)
    addresses = [r.address for r in registers]
    assert addresses == sorted(set(addresses)) and all(address % 4 == 0 for address in addresses)
    assert len({r.name for r in registers}) == len(registers)
    assert max(addresses) < 0x400


@pytest.mark.parametrize("config", BUILDS, ids=lambda c: c.max_layers)
def test_fields_and_resets(config):
    for register in register_map(config):
        assert 1 <= register.bits <= 32 and 0 <= register.reset < 1 << register.bits and register.text
        taken = [bit for field in register.fields for bit in range(field.low, field.low + field.bits)]
        assert len(taken) == len(set(taken)) and all(bit < register.bits for bit in taken), register.name


@pytest.mark.parametrize("config", BUILDS, ids=lambda c: c.max_layers)
def test_counters_are_pairs(config):
    registers = {r.name: r for r in register_map(config)}
    names = [name for name, _ in counters(config)]
    assert len(set(names)) == len(names)
    for n, name in enumerate(names):
        low, high = registers.pop(name), registers.pop(f"{name}_HI")
        assert (low.address, high.address) == (COUNTER_BASE + 8 * n, COUNTER_BASE + 8 * n + 4)
        assert low.access is high.access is Access.READ_ONLY
    assert all(r.address < COUNTER_BASE for r in registers.values())
    numbered = {f"EVENTS_{l}" for l in range(config.max_layers)} | {f"ACTIVE_{l + 1}" for l in range(config.max_layers)}
    assert {name for name in names if name.rpartition("_")[2].isdigit()} == numbered


def test_layers_have_their_registers():
    names = {r.name for r in register_map(CoreConfig(max_layers=3))}
    assert {f"SIZE_{l}" for l in range(4)} | {f"{kind}_{l}" for kind in ("RATE", "DECAY") for l in (1, 2, 3)} <= names
    assert not names & {"SIZE_4", "RATE_4", "DECAY_4", "RATE_0"}
    without = {r.name for r in register_map(CoreConfig(max_layers=3, weight_decay=False))}
    assert without == names - {"DECAY_1", "DECAY_2", "DECAY_3"}


def test_fixed_addresses():
    """A change here breaks hosts in the field: it takes a new VERSION."""
    at = {r.name: r.address for r in register_map(CoreConfig())}
    fixed = {"DIGEST": 0, "VERSION": 4, "CONTROL": 8, "STATUS": 0xC, "SIZE_0": 0x40, "RATE_1": 0x84, "DECAY_1": 0xC4,
             "TOTAL_CYCLES": 0x200}
    assert VERSION == 2 and {name: at[name] for name in fixed} == fixed


def test_digest_covers_configuration_map_and_version(monkeypatch):
    config = CoreConfig()
    plain = core_digest(config)
    assert plain == core_digest(CoreConfig()) != core_digest(CoreConfig(lanes=8))
    monkeypatch.setattr("coldspike.spec.registers.VERSION", VERSION + 1)
    assert core_digest(config) != plain
    monkeypatch.undo()
    moved = register_map(config)
    moved[-1] = dataclasses.replace(moved[-1], address=moved[-1].address + 4)
    monkeypatch.setattr("coldspike.spec.registers.register_map", lambda _: moved)
    assert core_digest(config) != plain


def test_packet_words():
    assert header(Kind.SAMPLE, 1, 0xABCD) == 0xABCD0101
    assert header(Kind.READ, Space.LEVEL, 3) == 3 << 16 | 5 << 8 | 4
    assert header(Kind.UPDATE) == 2
    assert all(0 <= member < 256 for kind in (Kind, Space, ErrorCode) for member in kind)
    assert not set(WRITABLE_SPACES) & set(TWO_WORD_SPACES)
    assert 1 << FIRED_BIT > CoreConfig(time_bits=10).time.max  # a tape word's flag lies above every time


def test_every_error_has_a_remedy():
    assert set(REMEDIES) == set(ErrorCode) and all(REMEDIES.values())
