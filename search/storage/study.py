"""Opening the Optuna study of a search: one study holds evaluations of one problem, and says which that is."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from supernet.values import SpecError, show

from .connecting import connect
from .owner import Owner
from .records import Records

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage

PROBLEM = "problem"
PATIENCE_S, LEASE_S = 120.0, 60.0


def open_study(
    url: str,
    name: str,
    directions: Sequence[str],
    metric_names: Sequence[str],
    problem: Mapping[str, Any],
    *,
    asked_by: str = "",
    patience_s: float = PATIENCE_S,
    lease_s: float = LEASE_S,
    owner: Owner | None = None,
) -> Records:
    """To be used in a `with` block. The study is made where there is none of that name.

    `directions`: maximize or minimize, for each objective. `problem`: what accuracies depend on, as JSON would hold it;
    a study of another problem is a SpecError that says what differs. `asked_by` is noted with each evaluation.
    """
    ours = json.loads(json.dumps(dict(problem)))
    connection = connect(url, patience_s)
    try:
        study_id = connection.patience(
            _study, connection.storage, connection.patience.name, name, list(directions), list(metric_names), ours
        )
    except BaseException:
        connection.close()
        raise
    return Records(connection, study_id, problem=_short(ours), asked_by=asked_by, lease_s=lease_s, owner=owner)


def _study(
    storage: BaseStorage, where: str, name: str, directions: list[str], metric_names: list[str], problem: dict[str, Any]
) -> int:
    """Its number, when it is there and is of this problem."""
    import optuna
    from optuna.study import StudyDirection

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would tell of each new study
    wanted = [StudyDirection[direction.upper()] for direction in directions]
    study = optuna.create_study(storage=storage, study_name=name, directions=wanted, load_if_exists=True)
    ours = {"directions": directions, "objectives": metric_names, **problem}
    theirs = {
        "directions": [direction.name.lower() for direction in study.directions],
        "objectives": study.metric_names or metric_names,
        **study.user_attrs.get(PROBLEM, problem),
    }
    differing = [key for key in ("objectives", *theirs, *ours) if theirs.get(key) != ours.get(key)]
    if differing and _came_to_nothing(study):
        optuna.delete_study(study_name=name, storage=storage)
        study = optuna.create_study(storage=storage, study_name=name, directions=wanted)
    elif differing:
        there, here = show(theirs.get(differing[0])), show(ours.get(differing[0]))
        raise SpecError(
            "storage",
            f"the study {show(name)} in {where} is of another problem: {differing[0]} is {there} there, {here} here; "
            "another --out or storage begins a new one",
        )
    if study.metric_names is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # these names are said to be experimental
            study.set_metric_names(metric_names)
    if PROBLEM not in study.user_attrs:
        study.set_user_attr(PROBLEM, problem)
    return storage.get_study_id_from_name(name)


def _came_to_nothing(study: Study) -> bool:
    """Nothing was evaluated, and nobody is at it."""
    from optuna.trial import TrialState

    failed = (TrialState.FAIL, TrialState.PRUNED)
    return all(trial.state in failed for trial in study.get_trials(deepcopy=False))


def _short(problem: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(problem, sort_keys=True).encode()).hexdigest()[:16]
