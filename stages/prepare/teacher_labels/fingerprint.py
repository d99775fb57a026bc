"""What teacher labels depend on outside the cache: the teachers' weights and configurations."""

from pathlib import Path

from models.teachers.source import digest
from stages.prepare.teacher_labels import TeacherLabelsSettings


def fingerprint(settings: TeacherLabelsSettings, data_root: Path) -> dict[str, str]:  # noqa: ARG001 (every fingerprint's)
    """Digests of the teachers. The images are the index's business: it knows their names and sizes.

    Raises:
        InputError: see `models.teachers.source.digest`.
    """
    digests = {"teacher": digest(settings.teacher.source, settings.teacher.revision)}
    if settings.sam is not None:
        digests["sam"] = digest(settings.sam.teacher.source, settings.sam.teacher.revision)
    return digests
