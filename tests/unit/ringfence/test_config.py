from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ringfence.config import Config, load, parse_endpoint, settings
from ringfence.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    path = folder / "ringfence.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_any_layer_everything_is_a_default() -> None:
    config = load(environment={}, root=True)
    assert config.store == Config().store
    assert set(config.origins) == set(settings())
    assert set(config.origins.values()) == {"default"}


def test_flags_beat_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "[web]\nport = 1\naddress = 'file'\npublic_url = 'file'")
    environment = {"RINGFENCE_WEB__PORT": "2", "RINGFENCE_WEB__ADDRESS": "environment"}
    config = load(file=file, environment=environment, flags={"web.port": 3, "web.session_hours": None})
    assert (config.web.port, config.web.address, config.web.public_url) == (3, "environment", "file")
    assert config.origins["web.port"] == "flag"
    assert config.origins["web.address"] == "environment RINGFENCE_WEB__ADDRESS"
    assert config.origins["web.public_url"] == f"file {file}"
    assert config.origins["web.session_hours"] == "default"


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("RINGFENCE_ENFORCE__MARK_MASK", "0xff00", 0xFF00),
        ("RINGFENCE_CAPTURE__ENABLED", "off", False),
        ("RINGFENCE_CAPTURE__ENABLED", "YES", True),
        ("RINGFENCE_CAPTURE__TICK_SECONDS", "0.5", 0.5),
        ("RINGFENCE_DOCKER__ENDPOINTS", "a=unix:///a, unix:///b,", ("a=unix:///a", "unix:///b")),
        ("RINGFENCE_DOCKER__ENDPOINTS", "", ()),
        ("RINGFENCE_GENERAL__DATA_DIR", "/srv/x", Path("/srv/x")),
    ],
)
def test_text_becomes_the_type_of_the_default(key: str, text: str, expected: object) -> None:
    section, name = key.removeprefix("RINGFENCE_").lower().split("__")
    assert getattr(getattr(load(environment={key: text}), section), name) == expected


@pytest.mark.parametrize("mask", ["0xFFFFFF00", "0x01000000", "0x00F0FF00", "0", "-256"])
def test_a_mark_mask_is_one_run_of_bits_beside_those_of_the_slots(mask: str) -> None:
    with pytest.raises(ConfigError, match="one run of bits within 0x00ffffff"):
        load(environment={"RINGFENCE_ENFORCE__MARK_MASK": mask})


def test_every_problem_is_reported_at_once() -> None:
    environment = {"RINGFENCE_WEB__PRT": "1", "RINGFENCE_WEB__PORT": "many", "RINGFENCE_CAPTURE__ENABLED": "maybe"}
    with pytest.raises(ConfigError) as caught:
        load(environment=environment)
    assert "did you mean RINGFENCE_WEB__PORT?" in str(caught.value)
    assert "web.port (environment RINGFENCE_WEB__PORT)" in str(caught.value)
    assert "'maybe' is neither true nor false" in str(caught.value)


def test_a_setting_outside_a_section_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown setting port"):
        load(file=write(tmp_path, "port = 1"), environment={})


def test_a_named_file_must_exist_and_be_readable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load(file=tmp_path / "none.toml", environment={})
    with pytest.raises(ConfigError, match="cannot be read"):
        load(file=write(tmp_path, "[web"), environment={})


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("RINGFENCE_WEB_PORT", "RINGFENCE_WEB__PORT"),
        ("RINGFENCE_GENERAL_DATA_DIR", "RINGFENCE_GENERAL__DATA_DIR"),
        ("RINGFENCE_STORE__FLOW", "RINGFENCE_STORE__FLOWS"),
        ("RINGFENCE_PORT", "RINGFENCE_WEB__PORT"),
    ],
)
def test_a_misspelled_variable_is_an_error_that_names_the_right_one(name: str, right: str) -> None:
    with pytest.raises(ConfigError, match=rf"environment {name}\): did you mean {right}\?"):
        load(environment={name: "9000"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATH", "y"),
        ("RINGFENCE_CONFIG", "/etc/other.toml"),
        ("RINGFENCE_CONFORMANCE_DATA", "/data"),
        ("RINGFENCE_SERVICE_HOST", "10.0.0.1"),
        ("RINGFENCE_PORT", "tcp://10.0.0.1:8844"),
        ("RINGFENCE_PORT_8844_TCP_ADDR", "10.0.0.1"),
    ],
)
def test_other_variables_are_not_settings(name: str, value: str) -> None:
    assert set(load(environment={name: value}, root=True).origins.values()) == {"default"}


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"HOME": "/home/ada"}, "/home/ada/.local/state/ringfence"),
        ({"HOME": "/home/ada", "XDG_STATE_HOME": "/srv/state"}, "/srv/state/ringfence"),
        ({"HOME": "/home/ada", "XDG_STATE_HOME": "relative"}, "/home/ada/.local/state/ringfence"),
    ],
)
def test_without_root_the_data_folder_is_the_users_own(environment: dict[str, str], folder: str) -> None:
    config = load(environment=environment, root=False)
    assert (config.general.data_dir, config.origins["general.data_dir"]) == (Path(folder), "default without root")
    given = load(environment=environment, root=False, flags={"general.data_dir": "/srv/x"})
    assert (given.general.data_dir, given.origins["general.data_dir"]) == (Path("/srv/x"), "flag")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[docker]\nendpoints = 5", r"docker\.endpoints .*: 5 is not a list of texts"),
        ("[docker]\nendpoints = [5]", r"docker\.endpoints .*: \[5\] is not a list of texts"),
        ("[general]\ndata_dir = 5", r"general\.data_dir .*: 5 is not a text"),
        ("[store]\nstate = true", r"store\.state .*: True is not a text"),
        ("[capture]\nreceive_buffer = 1.9", r"capture\.receive_buffer .*: 1\.9 is not a whole number"),
        ("[web]\nport = true", r"web\.port .*: True is not a whole number"),
        ("[web]\nport = [1]", r"web\.port .*: \[1\] is not a whole number"),
    ],
)
def test_a_value_of_the_wrong_kind_is_a_clear_error(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load(file=write(tmp_path, text), environment={})


def test_every_setting_is_documented() -> None:
    assert all(item.metadata["doc"].endswith((".", ")")) for item in settings().values())


def test_the_host_has_a_name_even_when_none_is_set() -> None:
    assert load(environment={}).host == socket.gethostname()
    assert load(environment={"RINGFENCE_GENERAL__HOST": "h1"}).host == "h1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unix:///run/d.sock", ("me", "unix:///run/d.sock")),
        ("h2=unix:///run/d.sock", ("h2", "unix:///run/d.sock")),
        ("tcp://h:1/?a=b", ("me", "tcp://h:1/?a=b")),
        (" h3 = tcp://h:1 ", ("h3", "tcp://h:1")),
    ],
)
def test_an_endpoint_may_have_a_name(text: str, expected: tuple[str, str]) -> None:
    assert parse_endpoint(text, "me") == expected


@pytest.mark.parametrize("text", ["unix:///a,unix:///b", "a=unix:///a,a=unix:///b", "host=unix:///a,unix:///b"])
def test_two_engines_of_one_name_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="two engines are called") as caught:
        load(environment={}, flags={"docker.endpoints": text, "general.host": "host"})
    assert "name=unix://" in caught.value.hint


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://127.0.0.1:8844"),
        ({"web.address": "::1"}, "http://[::1]:8844"),
        ({"web.address": "::"}, "http://[::1]:8844"),
        ({"web.address": "0.0.0.0"}, "http://127.0.0.1:8844"),  # noqa: S104
        ({"web.public_url": "https://ringfence.example/"}, "https://ringfence.example"),
    ],
)
def test_there_is_one_address_for_people(settings: dict[str, str], url: str) -> None:
    assert load(environment={}, flags=settings).web.url() == url


def test_the_address_has_the_port_that_is_listened_on() -> None:
    web = load(environment={}, flags={"web.port": "0"}).web
    assert web.url(1234) == "http://127.0.0.1:1234"
