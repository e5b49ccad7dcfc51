"""As much of a hub as sharing needs, on loopback: repositories of models, committed to and
read, with large files on the side; and the faults that a hub can have.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

Files = dict[str, bytes]


@dataclass
class Hub:
    """What the hub has, and how it fails."""

    repos: dict[str, list[Files]] = field(default_factory=dict)
    """{id: its commits, oldest first}."""
    objects: Files = field(default_factory=dict)
    """{sha256: large file}."""
    faults: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    """{part of a path, or METHOD part: (status, headers) that it is answered with}."""
    claimed: dict[str, int] = field(default_factory=dict)
    """{file: the size that is claimed}."""
    swapped: Files = field(default_factory=dict)
    """{file: what is sent instead of it}."""
    tokens: list[str] = field(default_factory=list)
    """Of all requests."""
    address: str = ""

    def put(self, repo: str, **files: bytes) -> None:
        """A new commit that has these files only."""
        self.repos.setdefault(repo, []).append(files)

    def commit_of(self, repo: str, number: int = -1) -> str:
        return _hash(f"{repo} {number % len(self.repos[repo])}".encode())[:40]

    def at(self, repo: str, revision: str) -> Files | None:
        commits = self.repos[repo]
        names = {self.commit_of(repo, n): n for n in range(len(commits))} | {"main": -1}
        return commits[names[revision]] if commits and revision in names else None


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub on a port of its own."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def _route(self) -> None:
        path = unquote(self.path.partition("?")[0]).strip("/")
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.hub.tokens.append(self.headers.get("Authorization", ""))
        for part, (status, headers) in self.hub.faults.items():
            method, _, inside = part.rpartition(" ")
            if inside in path and method in ("", self.command):
                return self._send(b'{"error": "a fault"}', status, headers)
        words = path.split("/")
        if path == "api/repos/create":
            return self._create()
        if path == "api/validate-yaml":
            return self._send_json({"errors": [], "warnings": []})
        if words[:2] == ["api", "models"]:
            return self._api("/".join(words[2:4]), words[4:])
        if words[0] == "objects":
            self.hub.objects[words[1]] = self.body
            return self._send(b"")
        if path.endswith(".git/info/lfs/objects/batch"):
            return self._batch()
        if len(words) > 4 and words[2] == "resolve":
            return self._resolve("/".join(words[:2]), words[3], "/".join(words[4:]))
        return self._missing("EntryNotFound")

    do_GET = do_HEAD = do_POST = do_PUT = _route

    def _create(self) -> None:
        asked = json.loads(self.body)
        repo = f"{asked['organization']}/{asked['name']}"
        status = 409 if repo in self.hub.repos else 200
        self.hub.repos.setdefault(repo, [])
        self._send_json({"url": f"{self.hub.address}/{repo}"}, status)

    def _api(self, repo: str, words: list[str]) -> None:
        if repo not in self.hub.repos:
            return self._missing("RepoNotFound")
        if words and words[0] == "preupload":
            files = [
                {
                    "path": f["path"],
                    "shouldIgnore": False,
                    "uploadMode": "lfs" if f["path"].endswith(".safetensors") else "regular",
                }
                for f in json.loads(self.body)["files"]
            ]
            return self._send_json({"files": files})
        if words and words[0] == "commit":
            return self._commit(repo)
        files = self.hub.at(repo, words[1] if len(words) > 1 else "main")
        if files is None:
            return self._missing("RevisionNotFound")
        siblings = [self._describe(path, content) for path, content in files.items()]
        number = self.hub.repos[repo].index(files)
        about = {"id": repo, "sha": self.hub.commit_of(repo, number), "siblings": siblings}
        return self._send_json(about)

    def _describe(self, path: str, content: bytes) -> dict:
        size = self.hub.claimed.get(path, len(content))
        about = {"rfilename": path, "size": size, "blobId": _hash(content)[:40]}
        if path.endswith(".safetensors"):
            about["lfs"] = {"sha256": _hash(content), "size": size, "pointerSize": 130}
        return about

    def _commit(self, repo: str) -> None:
        commits = self.hub.repos[repo]
        files = dict(commits[-1]) if commits else {}
        for line in self.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            if entry["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
        commits.append(files)
        commit = self.hub.commit_of(repo)
        url = f"{self.hub.address}/{repo}/commit/{commit}"
        self._send_json({"commitUrl": url, "commitOid": commit, "pullRequestUrl": None})

    def _batch(self) -> None:
        objects = [
            {
                **one,
                "actions": {"upload": {"href": f"{self.hub.address}/objects/{one['oid']}"}},
            }
            for one in json.loads(self.body)["objects"]
        ]
        self._send_json({"transfer": "basic", "objects": objects})

    def _resolve(self, repo: str, revision: str, path: str) -> None:
        files = self.hub.at(repo, revision) if repo in self.hub.repos else None
        if files is None or path not in files:
            return self._missing("EntryNotFound")
        headers = {"X-Repo-Commit": revision, "ETag": f'"{_hash(files[path])}"'}
        return self._send(self.hub.swapped.get(path, files[path]), 200, headers)

    def _missing(self, code: str) -> None:
        self._send(b'{"error": "none"}', 404, {"X-Error-Code": code})

    def _send_json(self, value: object, status: int = 200) -> None:
        self._send(json.dumps(value).encode(), status)

    def _send(self, body: bytes, status: int = 200, headers: dict | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
