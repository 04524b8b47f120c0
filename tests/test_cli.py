"""The command line: quick where nothing is computed, complete, and true in its exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import raw
import small_project
from ruamel.yaml import YAML
from typer.main import get_command

from stages import cli

ROOT = Path(__file__).parents[1]
STAGES = [
    stage["cmd"].split()[1] for stage in YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"].values()
]
COMMANDS = [*get_command(cli.app).commands]

# Prints what a command leaves loaded, whatever it ends with.
_LOADED = """
import sys
sys.argv = ["limbeck", *sys.argv[1:]]
from stages.cli import main
try:
    main()
finally:
    heavy = {"torch", "transformers", "pyarrow", "pydantic"} & {*sys.modules}
    print("loaded:", *heavy, file=sys.stderr)
"""


def limbeck(*words: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "stages.cli", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **variables},
        capture_output=True,
        text=True,
    )


def inside(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command run in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["limbeck", *words])
        patch.setattr(cli, "show_log", lambda: None)
        with pytest.raises(SystemExit) as ended:
            cli.main()
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return small_project.write_inputs(tmp_path)


def test_help_names_every_stage_and_loads_nothing_heavy(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", _LOADED, "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0
    assert run.stderr == "loaded:\n"
    for stage in [*STAGES, "check", "apply", "table"]:
        assert f" {stage} " in run.stdout


def test_every_stage_of_the_graph_is_a_command():
    assert {*STAGES} <= {*COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(project, capsys, command):
    status, shown, complaint = inside(capsys, command, "--help")
    assert (status, complaint) == (0, "")
    assert f"limbeck {command}" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_knows_each_option_that_the_graph_gives_it(command):
    stage = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"].get(command, {"cmd": ""})
    given = {word for word in stage["cmd"].split() if word.startswith("--")}
    options = {name for each in get_command(cli.app).commands[command].params for name in each.opts}
    assert given <= options


def test_completion_prints_a_script(tmp_path):
    run = limbeck(cwd=tmp_path, _LIMBECK_COMPLETE="source_bash")
    assert run.returncode == 0
    assert "complete" in run.stdout


def test_check_shows_the_corpora_of_the_parameters(project, capsys):
    status, shown, complaint = inside(capsys, "check")
    assert (status, complaint) == (0, "")
    assert "sv" in shown
    assert "PER" in shown
    assert not (project / "data" / "corpora").exists()


def test_check_of_files_tells_programs_one_object(project, capsys):
    status, shown, _ = inside(capsys, "check", "--json", "data/raw/en/train.conll", "data/raw/sv")
    told = json.loads(shown)
    assert status == 0
    assert len(told["files"]) == 5
    assert told["refused"] == {}


def test_check_takes_a_told_column_and_scheme(project, capsys):
    path = raw.conll(project / "odd.txt", "Ada/I-PER ran/O")
    options = ("--kind", "conll", "--word", "0", "--tag", "1", "--scheme", "iob2")
    status, shown, _ = inside(capsys, "check", "--json", *options, path)
    assert status == 0
    (found,) = json.loads(shown)["files"]
    assert found["file"]["path"] == path
    assert (found["tagging"]["scheme"], found["tagging"]["why"]) == ("iob2", "as told")


def test_check_takes_told_keys_and_named_columns(project, capsys):
    records, tree = project / "odd.jsonl", project / "odd.conllu"
    records.write_text('{"text": ["Ada", "ran"], "mine": ["B-PER", "O"]}\n')
    tree.write_text("1\tAda\t_\tPROPN\t_\t_\t0\t_\t_\tNER=B-PER\n\n")
    keys = ("--kind", "jsonl", "--word", "text", "--tag", "mine", str(records))
    columns = ("--tag", "MISC", "--key", "NER", str(tree))
    for options in (keys, columns):
        status, shown, _ = inside(capsys, "check", "--json", *options)
        assert status == 0
        (found,) = json.loads(shown)["files"]
        assert found["text"]["labels"] == {"PER": 1}


def test_check_says_which_schemes_there_are(project, capsys):
    status, _, complaint = inside(capsys, "check", "--scheme", "iob3", "data/raw/en/train.conll")
    assert status == 2
    assert "--scheme: expected a tag scheme, one of iob1" in complaint


def test_apply_lays_an_experiment_over_the_parameters(project, capsys):
    experiment = project / "experiment.yaml"
    experiment.write_text("extract: {k: 7}\n")
    assert inside(capsys, "apply", str(experiment))[0] == 0
    assert YAML(typ="safe").load(project / "params.yaml")["extract"]["k"] == 7


def test_an_experiment_that_would_be_wrong_changes_nothing(project, capsys):
    before = (project / "params.yaml").read_bytes()
    experiment = project / "experiment.yaml"
    experiment.write_text("extract: {depth: 7}\n")
    status, _, complaint = inside(capsys, "apply", str(experiment))
    assert status == 2
    assert complaint.startswith(f"limbeck: {experiment} over params.yaml: extract.depth: unknown")
    assert (project / "params.yaml").read_bytes() == before


def test_table_shows_a_summary_without_speed(project, capsys):
    figures = {"f1": 50.0, "retention": 0.8, "parameters": 1000, "bytes": 5000}
    summary = {
        "teachers": {"en": figures},
        "recipes": {"gold": figures | {"f1_std": 1.0, "gap_closed": None, "p_value": None}},
    }
    path = project / "summary.json"
    path.write_text(json.dumps(summary))
    status, shown, _ = inside(capsys, "table", "--summary", str(path), "--report", "r.html")
    assert status == 0
    assert "gold (baseline)" in shown
    assert "zero-shot" not in shown
    assert "r.html" in shown


def test_table_shows_zero_shot_corpora_apart(project, capsys):
    unseen = {"zero_shot": {"f1": 12.34, "f1_std": None, "p_value": 0.5}}
    gold = {"f1": 50.0, "parameters": 1000, "bytes": 5000} | unseen
    path = project / "summary.json"
    path.write_text(json.dumps({"teachers": {}, "recipes": {"gold": gold}}))
    _, shown, _ = inside(capsys, "table", "--summary", str(path), "--report", "r.html")
    assert "zero-shot:" in shown
    assert "12.34" in shown


def test_a_command_that_does_not_exist_is_the_users_to_mend(tmp_path):
    run = limbeck("distil", cwd=tmp_path)
    assert run.returncode == 2
    assert "No such command" in run.stderr
    assert "Traceback" not in run.stderr


def test_what_the_user_can_mend_is_one_message_and_status_2(tmp_path):
    run = limbeck("check", "nothing.conll", cwd=tmp_path)
    assert run.returncode == 2
    assert "nothing.conll" in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


def test_a_fault_of_limbeck_shows_where_and_is_status_1(project):
    broken = (
        "import stages.check as s; s.run_parameters = None; from stages.cli import main; main()"
    )
    run = subprocess.run(
        [sys.executable, "-c", broken, "check"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert "Traceback" in run.stderr
    assert "TypeError" in run.stderr
