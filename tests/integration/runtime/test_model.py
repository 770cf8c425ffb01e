"""A loaded pyfunc: MLflow's protocol in, MLflow's shape out, and whose fault a failure is."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from tests.integration.runtime.modeldirs import copied, save_script, save_wine, wine_rows

from tidegate_runtime.answers import Answer
from tidegate_runtime.faults import LoadFailed, WarmUpFailed
from tidegate_runtime.model import Model

JSON = "application/json"


@pytest.fixture(scope="session")
def wine_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_wine(tmp_path_factory.mktemp("models") / "wine")


@pytest.fixture(scope="session")
def wine(wine_dir: Path) -> Model:
    return Model.load(wine_dir)


@pytest.fixture(scope="session")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model.load(save_script("fragile", tmp_path_factory.mktemp("models") / "fragile"))


@pytest.fixture(scope="session")
def hinted(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model.load(save_script("hinted", tmp_path_factory.mktemp("models") / "hinted"))


def ask(model: Model, payload: Any) -> Answer:
    return model.answer(json.dumps(payload).encode(), JSON)


def x(value: Any) -> dict[str, Any]:
    return {"dataframe_split": {"columns": ["x"], "data": [[value]]}}


def message(answer: Answer) -> str:
    return str(json.loads(answer.body)["message"])


def as_csv() -> str:
    rows = wine_rows(3)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(rows.columns)
    writer.writerows(rows.to_numpy().tolist())
    return text.getvalue()


@pytest.mark.parametrize(
    "payload",
    [
        {"dataframe_split": wine_rows(3).to_dict(orient="split")},
        {"dataframe_records": wine_rows(3).to_dict(orient="records")},
        {"instances": wine_rows(3).to_dict(orient="records")},
        {"inputs": wine_rows(3).to_dict(orient="list")},
    ],
    ids=lambda payload: next(iter(payload)),
)
def test_each_of_mlflows_json_forms_is_answered_in_mlflows_shape(wine: Model, payload: dict[str, Any]) -> None:
    answer = ask(wine, payload)
    assert (answer.status, answer.media_type) == (200, JSON)
    assert json.loads(answer.body) == {"predictions": [0, 0, 0]}
    assert answer.predictions is not None
    assert sum(answer.predictions.buckets) == 3


@pytest.mark.parametrize("content_type", ["text/csv", "text/csv; charset=UTF-8"])
def test_csv_is_answered_likewise(wine: Model, content_type: str) -> None:
    answer = wine.answer(as_csv().encode(), content_type)
    assert (answer.status, json.loads(answer.body)) == (200, {"predictions": [0, 0, 0]})


@pytest.mark.parametrize(
    ("body", "content_type", "status", "named"),
    [
        (b'{"dataframe', JSON, 400, "valid JSON"),
        (b"\xff\xfe", JSON, 400, "valid JSON"),
        (b"[[1]]", JSON, 400, "Received a list"),
        (b"7", JSON, 400, "unexpected input type"),
        (b"{}", JSON, 400, "exactly one of the input fields"),
        (b'{"dataframe_split": {}, "inputs": []}', JSON, 400, "exactly one of the input fields"),
        (b'{"dataframe_split": 7}', JSON, 400, "Dataframe split format must be a dictionary"),
        (b'{"dataframe_split": {"columns": ["x"], "data": [[1]]}}', JSON, 400, "Model is missing inputs ['alcohol'"),
        (b'{"dataframe_records": [{"alcohol": "strong"}]}', JSON, 400, "alcohol"),
        (b'{"inputs": {"alcohol": ["strong"]}}', JSON, 400, "could not convert string to float: 'strong'"),
        (b'{"instances": [[[]]]}', JSON, 400, "Must pass 2-d input"),
        (b"[" * 100_000, JSON, 400, "input can't be parsed"),
        (b"x\n1", "text/csv", 400, "Model is missing inputs"),
        (b"\xff\xfe", "text/csv", 400, "UTF-8"),
        (b"", "text/csv", 400, "CSV"),
        (b"{}", "text/plain", 415, "only supports the following content types"),
        (b"{}", "application/json; charset=latin-1", 415, "UTF-8"),
        (b"{}", "application/json; a=b", 415, "Unrecognized content type parameters: a"),
        (b"{}", "", 415, "only supports the following content types"),
    ],
    ids=range(19),
)
def test_a_wrong_input_is_a_4xx_that_names_what_is_wrong(
    wine: Model, body: bytes, content_type: str, status: int, named: str
) -> None:
    answer = wine.answer(body, content_type)
    assert (answer.status, answer.media_type) == (status, JSON)
    assert named in message(answer)
    assert answer.predictions is None


def test_what_a_client_is_told_does_not_repeat_its_input(fragile: Model) -> None:
    answer = ask(fragile, x("4111-1111-1111-1111"))
    assert answer.status == 400
    assert "Failed to predict data" not in message(answer)
    assert len(message(answer)) < 300


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (-1, "ValueError: negative amounts are not supported"),
        (-2, "the model's own MlflowException"),
        (-3, "SystemExit: 0"),
        (-4, "TypeError"),
    ],
    ids=["raises", "raises MLflow's own exception", "leaves", "answers what is no JSON"],
)
def test_a_model_that_fails_on_a_right_input_is_a_500_that_says_how(fragile: Model, value: int, said: str) -> None:
    answer = ask(fragile, x(value))
    assert answer.status == 500
    assert said in message(answer)
    assert json.loads(answer.body)["error_code"] == "INTERNAL_ERROR"


def test_a_model_that_failed_answers_the_next_input(fragile: Model) -> None:
    ask(fragile, x(-1))
    assert json.loads(ask(fragile, x(5)).body) == {"predictions": [5]}


def test_a_type_hinted_models_wrong_input_is_the_inputs_fault(hinted: Model) -> None:
    answer = ask(hinted, {"inputs": [{"amount": "much"}]})
    assert answer.status == 400
    assert "amount" in message(answer)


def test_a_type_hinted_models_own_error_is_the_models_fault(hinted: Model) -> None:
    assert json.loads(ask(hinted, {"inputs": [{"amount": 2.5}]}).body) == {"predictions": [2.5]}
    assert ask(hinted, {"inputs": [{"amount": -1.0}]}).status == 500


def test_the_saved_input_example_warms_the_model_up(wine: Model) -> None:
    assert wine.warm_up() is True


def test_a_model_without_an_example_has_nothing_to_warm_up_with(fragile: Model) -> None:
    assert fragile.warm_up() is False


def test_a_model_that_fails_on_its_own_example_is_not_warm(tmp_path: Path) -> None:
    model = Model.load(save_script("fragile", tmp_path / "m", example=-1))
    with pytest.raises(WarmUpFailed, match=r"\(500\): the model failed: ValueError: negative amounts"):
        model.warm_up()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short"], ids=["empty", "cut short"])
def test_a_corrupt_artifact_can_not_be_loaded_and_says_so(wine_dir: Path, tmp_path: Path, content: bytes) -> None:
    broken = copied(wine_dir, tmp_path / "m")
    (broken / "model.skops").write_bytes(content)
    with pytest.raises(LoadFailed, match=r"the model can't be loaded: .*BadZipFile: File is not a zip file"):
        Model.load(broken)


def test_a_missing_artifact_can_not_be_loaded_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match="ArtifactMissing: the version has no MLmodel"):
        Model.load(tmp_path)


def test_a_model_that_needs_a_module_which_is_not_here_says_which(wine_dir: Path, tmp_path: Path) -> None:
    broken = copied(wine_dir, tmp_path / "m")
    text = (broken / "MLmodel").read_text().replace("loader_module: mlflow.sklearn", "loader_module: exotic_flavor")
    (broken / "MLmodel").write_text(text)
    with pytest.raises(LoadFailed, match=r"needs the Python module exotic_flavor.* spec\.serving\.template"):
        Model.load(broken)


def test_a_loader_that_leaves_the_process_is_a_failure_all_the_same(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match="SystemExit: 0"):
        Model.load(save_script("unloadable", tmp_path / "m"))
