"""Parcels without a network: a folder, or an archive. Knows paths; nothing of an archive is
unpacked onto the disk.
"""

import gzip
import io
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from mlx_t2.errors import ConfigError, ExpertFileError, FileError
from mlx_t2.files import find_kind, reading_errors, write_whole

from .parcel import LARGEST, MOST_FILES, Parcel, check_size, choose_file, name_from

_ARCHIVES = (".tar.gz", ".tgz", ".tar")


def is_place(name: str) -> bool:
    """Whether it names a folder or an archive, not a repository of the hub: it is there, ends
    as an archive does, or begins as a path does.
    """
    is_path = name.startswith((".", "/", "~")) or name.endswith(_ARCHIVES)
    return is_path or find_kind(Path(name)) is not None


def write_place(parcel: Parcel, place: Path) -> Path:
    """Write the parcel into a folder, or as an archive, by the ending of its name; equal
    parcels give equal bytes. Returns where it is.

    Raises: FileError where it cannot be written.
    """
    place = place.expanduser()
    if place.name.endswith(".tar.gz") or place.name.endswith(".tgz"):
        write_whole(place, gzip.compress(_pack(parcel), mtime=0))
    elif place.name.endswith(".tar"):
        write_whole(place, _pack(parcel))
    else:
        if find_kind(place) == "file":
            raise FileError(
                f"{place}: got a file, expected a folder, or a name that ends in .tar.gz"
            )
        for path, content in parcel.files().items():
            write_whole(place / path, content)
    return place


def read_place(place: Path, wanted: str | None = None) -> Parcel:
    """The expert in a folder or an archive, checked.

    wanted: the name of its file, where there are several.
    Raises: ConfigError where there is no such place; ExpertFileError for one that has no
        expert, several, pickles, or members that lead out of it; FileError where it cannot be
        read.
    """
    place = place.expanduser()
    kind = find_kind(place)
    if kind is None:
        raise ConfigError(f"{place}: no such folder or archive")
    name, content = (_read_folder if kind == "folder" else _read_archive)(place, wanted)
    parcel = Parcel(name_from(name), content, source=str(place))
    parcel.open()
    return parcel


def _read_folder(folder: Path, wanted: str | None) -> tuple[str, bytes]:
    with reading_errors(folder):
        inside = [path for path in folder.iterdir() if path.is_file()]
        sizes = {path.name: path.stat().st_size for path in inside}
        name = choose_file(str(folder), sizes, wanted)
        return name, (folder / name).read_bytes()


def _read_archive(archive: Path, wanted: str | None) -> tuple[str, bytes]:
    try:
        with reading_errors(archive), tarfile.open(archive, "r:*") as tar:
            members = _list_members(archive, tar)
            sizes = {path: member.size for path, member in members.items()}
            name = choose_file(str(archive), sizes, wanted)
            file = tar.extractfile(members[name])
            content = file.read(LARGEST + 1) if file else b""
            _read_to_the_end(archive, tar)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ExpertFileError(
            f"{archive}: cannot be read as an archive ({' '.join(str(error).split())}), "
            "expected a whole .tar.gz"
        ) from error
    return PurePosixPath(name).name, content


def _read_to_the_end(archive: Path, tar: tarfile.TarFile) -> None:
    """Let the archive's checksum, which is behind everything, be compared."""
    total = 0
    while tar.fileobj and (more := tar.fileobj.read(2**20)):
        total += len(more)
        check_size(str(archive), "its end", total)


def _list_members(archive: Path, tar: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    """{path: member} of the files; without their folder, where all are in one. Each is judged
    before the next is looked for, since to reach it the one before has to be read over.
    """
    found: dict[str, tarfile.TarInfo] = {}
    total = 0
    for member in tar:
        path = PurePosixPath(member.name)
        shown = repr(member.name[:80])
        if path.is_absolute() or ".." in path.parts or "\\" in member.name:
            raise ExpertFileError(f"{archive}: got the member {shown}, which leads out of it")
        if member.isdir():
            continue
        if not member.isreg():
            raise ExpertFileError(
                f"{archive}: got the member {shown}, a link or a device, expected plain files"
            )
        total += member.size
        check_size(str(archive), f"up to the member {shown}", total)
        found[str(path)] = member
        if len(found) > MOST_FILES:
            break
    tops = {PurePosixPath(path).parts[0] for path in found}
    if len(tops) == 1 and not tops & found.keys():
        return {path.partition("/")[2]: member for path, member in found.items()}
    return found


def _pack(parcel: Parcel) -> bytes:
    """A tar without times and owners."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for path, content in parcel.files().items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()
