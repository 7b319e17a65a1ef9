"""The REST APIs of head-end and simulator, as the kit asks them."""

from typing import Any

import httpx

from ami_testkit.errors import KitError, NotThere

TIMEOUT_S = 120.0
MOST_SHOWN = 500


class Rest:
    """One API below `url`, with its bearer token if it has one."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        self.token = token
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUT_S, trust_env=False)

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of the answer. Raises KitError."""
        given = {name: value for name, value in query.items() if value is not None}
        return self.ask("GET", path, params=given)

    def post(self, path: str, **body: Any) -> Any:
        """The same; `body` is the JSON of the request."""
        return self.ask("POST", path, json=body)

    def put(self, path: str, **body: Any) -> Any:
        """The same."""
        return self.ask("PUT", path, json=body)

    def delete(self, path: str, **body: Any) -> Any:
        """The same; without a body where none is given."""
        return self.ask("DELETE", path, **({"json": body} if body else {}))

    def ask(self, method: str, path: str, **how: Any) -> Any:
        """Any request; raises KitError with what the API said of it."""
        try:
            answer = self._client.request(method, path, **how)
        except httpx.HTTPError as problem:
            raise KitError(f"{method} {self.url}{path}: {problem or type(problem).__name__}") from None
        if answer.is_error:
            kind = NotThere if answer.status_code == httpx.codes.NOT_FOUND else KitError
            raise kind(f"{method} {self.url}{path}: {answer.status_code} {answer.text[:MOST_SHOWN]}")
        return answer.json() if answer.content else None

    def close(self) -> None:
        """Give its connections back."""
        self._client.close()
