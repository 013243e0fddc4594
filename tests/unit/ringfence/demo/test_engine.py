"""An engine is derived from a namespace's name and a folder alone."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from ringfence.demo.engine import Engine, answers, processes_of


def test_the_daemon_keeps_everything_in_its_folder(tmp_path: Path) -> None:
    engine = Engine(netns_name="blue", folder=tmp_path)
    argv = engine.argv("overlay2")
    assert argv[:4] == ["nsenter", "--net=/run/netns/blue", "--", "dockerd"]
    places = [item for item in argv if item.startswith(("/", "unix:"))]
    assert len(places) == 4
    assert all(str(tmp_path) in item for item in places)


def test_an_engine_that_never_ran_has_no_pid_and_stops_without_error(tmp_path: Path) -> None:
    engine = Engine(netns_name="blue", folder=tmp_path / "none")
    engine.stop()
    assert engine.pid is None


def test_a_pid_file_of_somebody_else_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "docker.pid").write_text("1")
    assert Engine(netns_name="blue", folder=tmp_path).pid is None
    (tmp_path / "docker.pid").write_text("not a number")
    assert Engine(netns_name="blue", folder=tmp_path).pid is None


def test_nobody_answers_at_a_socket_that_is_not_there(tmp_path: Path) -> None:
    assert not answers(f"unix://{tmp_path}/none.sock")


def test_only_a_good_answer_counts(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            for status in (b"200 OK", b"503 Busy"):
                client, _ = server.accept()
                with client:
                    client.recv(1024)
                    client.sendall(b"HTTP/1.0 " + status + b"\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        assert [answers(f"unix://{path}"), answers(f"unix://{path}")] == [True, False]
        thread.join()


def test_processes_are_found_by_the_folder_in_their_command_line(tmp_path: Path) -> None:
    assert list(processes_of(tmp_path / "nobody-names-this")) == []
