"""The evaluations of a study, shared by all processes that work on it.

Optuna has no operation that claims something for one process alone. But trials of a study get their numbers one after
the other, and who has made trial n can read all before it. So a claim is a running trial that names the network, and of
several claims of a network the one with the lowest number counts; the others are withdrawn before anybody starts.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from .connecting import Connection
from .leases import Heartbeat, Silence
from .owner import Owner, is_running, this_process
from .patience import StorageError, logger
from .record import ATTRIBUTE, Evaluation, Record, read_record

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, TrialState

ALIVE = "alive "
"""Before the token of an owner, in the study's system attributes: how many signs of life it gave."""
FIRST_LOOK_S, LONGEST_LOOK_S = 0.02, 1.0


class Claim(NamedTuple):
    number: int
    record: Record


class Records:
    """See `open_study`. Networks are rows of codes; the key of one is `code.tobytes()` of int32."""

    def __init__(
        self,
        connection: Connection,
        study_id: int,
        *,
        problem: str,
        asked_by: str = "",
        lease_s: float,
        owner: Owner | None = None,
    ) -> None:
        self.storage, self.patience = connection.storage, connection.patience
        self._connection, self._study_id = connection, study_id
        self._problem, self._asked_by, self._lease_s = problem, asked_by, lease_s
        self.owner = owner or this_process()
        self._known: dict[bytes, Evaluation] = {}
        self._running: dict[int, Claim] = {}
        self._claimed: dict[bytes, int] = {}
        self._read = 0
        self._silence = Silence(lease_s)
        self._heartbeat: Heartbeat | None = None
        self._beats = 0
        self._has_company = False

    def __enter__(self) -> Records:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Claims that led to nothing are free for others at once; where the storage does not answer, after a while."""
        from optuna.trial import TrialState

        if self._heartbeat is not None:
            self._heartbeat.stop()
            self._heartbeat = None
        self.patience = self.patience.of(0.0)
        try:
            if self._ours():
                self._refresh()
            for claim in self._ours():
                self._end(claim, TrialState.FAIL)
        except StorageError as error:
            logger.warning("claims are left behind: %s", error)
        finally:
            self._connection.close()

    # --- what is known -------------------------------------------------------------------------------------------

    def known(self) -> dict[bytes, Evaluation]:
        """All evaluations so far, by anybody. Only what is new is read."""
        self._refresh()
        return self._known

    def _refresh(self) -> None:
        trials = self.patience(self.storage.get_all_trials, self._study_id, deepcopy=False)
        for trial in trials:
            if trial.number >= self._read or trial.number in self._running:
                self._take(trial)
        self._read = max(self._read, trials[-1].number + 1 if trials else 0)

    def _take(self, trial: FrozenTrial) -> None:
        from optuna.trial import TrialState

        self._running.pop(trial.number, None)
        if ATTRIBUTE not in trial.user_attrs:
            return  # somebody else's trial in our study
        record = read_record(trial.user_attrs[ATTRIBUTE], trial.number, self.patience.name)
        if record.problem != self._problem:
            raise StorageError(f"storage: trial {trial.number} of {self.patience.name} is of another problem")
        if trial.state == TrialState.RUNNING:
            claim = self._running[trial.number] = Claim(trial.number, record)
            self._has_company |= not self._is_ours(claim)
        elif trial.state == TrialState.COMPLETE and record.accuracy is not None:
            self._keep(record, trial.number, trial.values)

    def _keep(self, record: Record, number: int, values: Sequence[float]) -> None:
        before = self._known.get(record.key)
        if before is None or number < before.number:
            assert record.accuracy is not None
            self._known[record.key] = Evaluation(
                record.accuracy, record.seconds, tuple(values), number, record.images, record.worker, record.asked_by
            )

    # --- who evaluates what --------------------------------------------------------------------------------------

    def claim(self, codes: np.ndarray, most: int | None = None) -> list[int]:
        """Indices of networks that this process shall evaluate now, `most` at most: each is neither known nor being
        evaluated by a process that lives."""
        keys = _keys(codes)
        won: list[int] = []
        most = len(keys) if most is None else most
        while len(won) < most:
            self._refresh()
            self._end_stale(set(keys))
            free = self._free(keys)[: most - len(won)]
            if not free:
                break
            for index in free:
                self._make_claim(codes[index])
            self._refresh()
            self._withdraw_lost()
            ours = {claim.record.key: claim.number for claim in sorted(self._ours(), reverse=True)}
            self._claimed |= ours
            won += [index for index in free if keys[index] in ours]
        return won

    def _free(self, keys: Sequence[bytes]) -> list[int]:
        """The first index of each. Processes that start at once begin at different places, each at its own."""
        taken = {claim.record.key for claim in self._running.values()}
        found = []
        for index, key in enumerate(keys):
            if key not in taken and key not in self._known:
                taken.add(key)
                found.append(index)
        start = zlib.crc32(self.owner.token.encode()) % len(found) if found and self._has_company else 0
        return found[start:] + found[:start]

    def _make_claim(self, code: np.ndarray) -> None:
        from optuna.trial import TrialState, create_trial

        trial = create_trial(state=TrialState.RUNNING, user_attrs={ATTRIBUTE: self._record(code).attribute()})
        self.patience(self.storage.create_new_trial, self._study_id, template_trial=trial)
        if self._heartbeat is None:
            self._heartbeat = Heartbeat(self._beat, self._lease_s)

    def _record(self, code: np.ndarray) -> Record:
        return Record(code=tuple(code.tolist()), problem=self._problem, owner=self.owner, asked_by=self._asked_by)

    def _withdraw_lost(self) -> None:
        """Of our claims those that somebody was faster with, and those that a lost answer made us make twice."""
        from optuna.trial import TrialState

        held: set[bytes] = set()
        for claim in sorted(self._running.values()):
            key = claim.record.key
            if self._is_ours(claim) and (key in held or key in self._known):
                self._end(claim, TrialState.PRUNED)
            held.add(key)

    def add(
        self,
        code: np.ndarray,
        accuracy: float,
        values: Sequence[float],
        *,
        seconds: float = 0.0,
        images: int = 0,
        worker: str = "",
    ) -> bool:
        """Keeps what a claim has led to. False: the claim was lost meanwhile, because this process was thought dead,
        and whoever has it now will keep the result."""
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        key = _keys(code[None])[0]
        assert key in self._claimed, "only what was claimed can be added"
        number = self._claimed[key]
        result = {"accuracy": float(accuracy), "seconds": seconds, "images": images, "worker": worker}
        record = msgspec.structs.replace(self._record(code), **result)
        values = [float(value) for value in values]
        trial_id = self._trial_id(number)
        try:
            self.patience(self.storage.set_trial_user_attr, trial_id, ATTRIBUTE, record.attribute())
            self.patience(self.storage.set_trial_state_values, trial_id, TrialState.COMPLETE, values)
        except UpdateFinishedTrialError:  # by another process, or by us when an answer was lost
            self._refresh()
        else:
            self._running.pop(number, None)
            self._keep(record, number, values)
        del self._claimed[key]
        return key in self._known and self._known[key].number == number

    def wait(self, codes: np.ndarray) -> None:
        """Until one of these networks can be claimed, or none of them is in the hands of another process."""
        keys = set(_keys(codes))
        pause = FIRST_LOOK_S
        while True:
            self._refresh()
            self._end_stale(keys)
            open_keys = keys - self._known.keys()
            held = {claim.record.key for claim in self._running.values() if not self._is_ours(claim)}
            if not open_keys or not open_keys <= held:
                return
            time.sleep(pause)
            pause = min(1.5 * pause, LONGEST_LOOK_S)

    def _end_stale(self, keys: Iterable[bytes]) -> None:
        """Claims of processes that have ended, or that gave no sign of life for the time of a lease."""
        from optuna.trial import TrialState

        theirs = [c for c in self._running.values() if c.record.key in keys and not self._is_ours(c)]
        running = {claim.number: is_running(claim.record.owner) for claim in theirs}
        unsure = [claim for claim in theirs if running[claim.number] is None]
        if unsure and self._silence.is_due:
            attributes = self.patience(self.storage.get_study_system_attrs, self._study_id)
            beats = {key.removeprefix(ALIVE): count for key, count in attributes.items() if key.startswith(ALIVE)}
            self._silence.listen(beats, [(claim.number, claim.record.owner.token) for claim in unsure])
        ended = [c for c in theirs if running[c.number] is False or self._silence.is_over(c.number)]
        for claim in ended:
            self._end(claim, TrialState.FAIL)

    def _end(self, claim: Claim, state: TrialState) -> None:
        from optuna.exceptions import UpdateFinishedTrialError

        try:
            self.patience(self.storage.set_trial_state_values, self._trial_id(claim.number), state)
        except UpdateFinishedTrialError:
            return  # the next look will tell how
        self._running.pop(claim.number, None)

    def _beat(self) -> None:
        if self._ours():
            self._beats += 1
            self.patience(self.storage.set_study_system_attr, self._study_id, ALIVE + self.owner.token, self._beats)

    def _ours(self) -> list[Claim]:
        return [claim for claim in list(self._running.values()) if self._is_ours(claim)]

    def _is_ours(self, claim: Claim) -> bool:
        return claim.record.owner == self.owner

    def _trial_id(self, number: int) -> int:
        return self.patience(self.storage.get_trial_id_from_study_id_trial_number, self._study_id, number)


def _keys(codes: np.ndarray) -> list[bytes]:
    return [code.tobytes() for code in np.ascontiguousarray(codes, dtype=np.int32)]
