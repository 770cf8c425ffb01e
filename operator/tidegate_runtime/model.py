"""An MLflow pyfunc behind the scoring protocol, with the two kinds of failure told apart.

MLflow's scoring server answers 400 for whatever goes wrong. Here parsing and predicting are MLflow's own functions, but
it is seen where a failure came from: before the model's own predict was entered it is the input's fault (4xx), from
there on the model's (5xx). A model without a signature has nothing its input could be held to, so there its own
complaint about an input counts as the model's fault.
"""

import functools
import json
import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import mlflow.pyfunc
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from mlflow.version import VERSION

from tidegate_runtime.answers import Answer, failure
from tidegate_runtime.artifact import check_model_directory
from tidegate_runtime.faults import DownloadFault, LoadFailed, WarmUpFailed
from tidegate_runtime.predictions import count_predictions

_logger = logging.getLogger(__name__)
# It logs a paragraph for every input that does not fit; the client is told, that is enough.
logging.getLogger(scoring_server.__name__).setLevel(logging.ERROR)

MLFLOW_VERSION: Final[str] = VERSION
INPUT_EXAMPLE: Final = "serving_input_example.json"
_JSON: Final = "application/json"
# MLflow checks a type-hinted model's input inside predict; what these modules raise themselves is about the input.
_VALIDATORS: Final = frozenset(
    {"mlflow.pyfunc.utils.data_validation", "mlflow.types.type_hints", "mlflow.pyfunc.model", "mlflow.types.utils"}
)


class ModelRaisedError(Exception):
    """The model's own predict raised; the cause is what it raised."""


class Model:
    """A loaded pyfunc. Answers requests from several threads at once, as MLflow's own server does."""

    def __init__(self, pyfunc: Any, directory: Path) -> None:
        pyfunc._predict_fn = _marking(pyfunc._predict_fn)  # noqa: SLF001 - the one seam between schema and model
        self._pyfunc = pyfunc
        self._directory = directory
        self._input_schema = pyfunc.metadata.get_input_schema()

    @classmethod
    def load(cls, directory: Path) -> "Model":
        """Load the model from an MLflow model directory.

        Raises:
            LoadFailed: It can't be; the message ends with the last line of the error.
        """
        try:
            check_model_directory(directory)
            return cls(mlflow.pyfunc.load_model(str(directory)), directory)
        except DownloadFault as fault:
            raise LoadFailed(f"{fault.reason}: {fault}") from fault
        except ModuleNotFoundError as error:
            raise LoadFailed(
                f"the model needs the Python module {error.name}, which this image lacks: set an image that has it in"
                " spec.serving.template"
            ) from error
        except (Exception, SystemExit) as error:  # a model's loader may raise whatever it likes
            raise LoadFailed(f"the model can't be loaded: {last_line(error)}") from error

    def warm_up(self) -> bool:
        """Answer the model's own saved input example, if it has one.

        Returns:
            Whether there was an example.

        Raises:
            WarmUpFailed: The answer is not 200.
        """
        try:
            body = (self._directory / INPUT_EXAMPLE).read_bytes()
        except FileNotFoundError:
            return False
        answer = self.answer(body, _JSON)
        if answer.status != HTTPStatus.OK:
            message = json.loads(answer.body)["message"]
            raise WarmUpFailed(f"the model does not answer its own input example ({answer.status}): {message}")
        return True

    def answer(self, body: bytes, content_type: str) -> Answer:
        """Answer one request to ``/invocations``: 200, 4xx with what is wrong with the input, or 500.

        Args:
            body: The request's body.
            content_type: Its Content-Type: ``application/json``, ``text/csv`` or ``application/vnd.apache.parquet``.
        """
        call = _Call(self._pyfunc)
        try:
            response = scoring_server.invocations(body, content_type, call, self._input_schema)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever was raised, somebody waits for an answer
            return call.failure(error)
        if response.status != HTTPStatus.OK:
            return failure(response.status, "BAD_REQUEST", response.response)
        return Answer(
            status=response.status,
            body=response.response.encode(),
            media_type=response.mimetype,
            predictions=count_predictions(call.result),
        )


@dataclass(slots=True)
class _Call:
    """Stands in for the pyfunc during one request and remembers how far it came."""

    pyfunc: Any
    entered: bool = False
    complaint: str | None = None
    result: Any = None

    @property
    def metadata(self) -> Any:
        return self.pyfunc.metadata

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        try:
            self.result = self.pyfunc.predict(data, params=params)
        except ModelRaisedError:
            self.entered = True
            raise
        except Exception as error:
            # Taken down now: MLflow goes on to put the whole input into the exception's message.
            self.complaint = _about_input(error)
            raise
        self.entered = True
        return self.result

    def failure(self, error: BaseException) -> Answer:
        if self.entered or isinstance(error, MemoryError | SystemExit):
            raised = _cause_in_model(error)
            _logger.error("the model failed", exc_info=raised)
            return failure(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", f"the model failed: {last_line(raised)}")
        status, code = _client_error(error)
        return failure(status, code, self.complaint or _about_input(error))


def last_line(error: BaseException) -> str:
    """Return the last line of the error's traceback, such as ``ValueError: no rows``."""
    return traceback.format_exception_only(error)[-1].strip()


def _marking(predict: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a model's predict so that what it raises is told from what the checks before it raise."""

    @functools.wraps(predict)
    def marked(*args: Any, **kwargs: Any) -> Any:
        try:
            return predict(*args, **kwargs)
        except (Exception, SystemExit) as error:  # a model may raise whatever it likes
            if isinstance(error, MlflowException) and _raised_in(error.__traceback__) in _VALIDATORS:
                raise
            raise ModelRaisedError from error

    return marked


def _raised_in(trace: TracebackType | None) -> str:
    """Name the module of the innermost frame."""
    name = ""
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__", ""))
        trace = trace.tb_next
    return name


def _cause_in_model(error: BaseException) -> BaseException:
    """Find what the model raised below what MLflow made of it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ModelRaisedError) and seen.__cause__ is not None:
            return seen.__cause__
        seen = seen.__cause__ or seen.__context__
    return error


def _client_error(error: BaseException) -> tuple[int, str]:
    if isinstance(error, MlflowException):
        status = error.get_http_status_code()
        if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return status, str(error.error_code)
    return HTTPStatus.BAD_REQUEST, "BAD_REQUEST"


def _about_input(error: BaseException) -> str:
    """Say what is wrong with the input, without repeating the input as MLflow does."""
    if isinstance(error, MlflowException):
        if error.message.startswith("Failed to enforce schema") and error.__context__ is not None:
            return f"the input does not fit the model's signature: {error.__context__}"
        return str(error.message).partition("\nInput:")[0]
    return f"the input can't be parsed: {last_line(error)}"
