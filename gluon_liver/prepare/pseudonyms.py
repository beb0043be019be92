"""Case and patient ids: salted hashes, which nobody without the salt can lead back to a patient."""

from __future__ import annotations

import hashlib
import secrets
from typing import List, Optional, Tuple

from gluon_liver.errors import InputError
from gluon_liver.phases.cases import Case


def salt_or_random(salt: Optional[str]) -> str:
    """The given salt, a random one for None. Raises :class:`InputError` for a salt that hides nothing."""
    if salt is None:
        return secrets.token_hex(16)
    if not salt.strip():
        raise InputError("--salt is empty: give a text that nobody can guess, or leave --salt out for a random one")
    if any("\ud800" <= character <= "\udfff" for character in salt):
        raise InputError("--salt holds bytes that are no text in this terminal's encoding; give another text")
    return salt


def salted_hash(kind: str, salt: str, value: str) -> str:
    """ "case-" or "patient-" and 10 hex digits of SHA-256 over salt and tag value."""
    return f"{kind}-{hashlib.sha256((salt + value).encode('utf-8')).hexdigest()[:10]}"


def case_ids(case: Case, salt: str) -> Tuple[str, str]:
    """The salted ids of a case and of its patient."""
    return salted_hash("case", salt, case.key), salted_hash("patient", salt, case.patient)


def salt_notes(salt: str, *, phantoms: bool = False) -> List[str]:
    """What a reader of an import's report should know of its salt; nothing where all patients are phantoms."""
    risk = "the salt is shorter than 8 characters: who guesses it can link case ids to patients"
    return [f"{risk}. That is harmless for phantoms only"] if len(salt) < 8 and not phantoms else []
