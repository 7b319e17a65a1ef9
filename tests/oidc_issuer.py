"""A small issuer of OpenID Connect on a real socket: discovery, keys, client credentials, and people who sign in by code and PKCE; with keys made at run time."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote_plus, unquote_plus, urlencode

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

CONSOLE = "the-console"
AUDIENCE, CLIENT, SECRET = "ami", "the-client", "the secret of the client"


class OidcIssuer:
    """`asked` are the paths that were asked for; `roles` are those of the tokens that its endpoint gives."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.asked: list[str] = []
        self.away = False
        self.roles: Any = ["switching"]
        self.changed: dict[str, Any] = {}
        """Of the discovery document."""
        self.person = "ada"
        self.codes: dict[str, dict[str, str]] = {}
        self.signed_in: dict[str, Any] = {}
        """Claims of ID tokens that are other than right."""
        self.url = ""
        self.secret = SECRET
        self.roll("first")

    def roll(self, kid: str, kind: str = "rsa") -> None:
        """A new key in place of the others."""
        private = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
        self.keys = {kid: private}

    def token(self, *, kid: str | None = None, key: Any = None, alg: str | None = None, **claims: Any) -> str:
        """A token with these claims, None leaving one out; it is right where nothing is said."""
        kid = kid or next(iter(self.keys))
        key = key or self.keys[kid]
        alg = alg or ("ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256")
        now = int(time.time())
        right = {"iss": self.url, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 300, "roles": self.roles}
        said = {name: value for name, value in (right | claims).items() if value is not None}
        return jwt.encode(said, key, alg, headers={"kid": kid})

    def public_pem(self) -> bytes:
        public = next(iter(self.keys.values())).public_key()
        return bytes(public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))

    def answer(self, path: str, form: dict[str, list[str]], authorization: str) -> tuple[int, Any]:
        self.asked.append(path)
        if self.away:
            return 503, {"error": "temporarily_unavailable"}
        if path == "/.well-known/openid-configuration":
            said = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", "token_endpoint": f"{self.url}/token"}
            return 200, said | {"authorization_endpoint": f"{self.url}/authorize"} | self.changed
        if path.startswith("/authorize?"):
            return 302, self._coming_back({name: one[0] for name, one in parse_qs(path.partition("?")[2]).items()})
        if path == "/token" and form.get("grant_type") == ["authorization_code"]:
            return self._exchanged({name: one[0] for name, one in form.items()}, authorization)
        if path == "/keys":
            return 200, {"keys": [self._public(kid, key) for kid, key in self.keys.items()]}
        if path == "/token":
            given = base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":")
            if list(map(unquote_plus, given)) != [CLIENT, self.secret] or form.get("grant_type") != [
                "client_credentials"
            ]:
                return 401, {"error": "invalid_client"}
            return 200, {"access_token": self.token(sub=CLIENT), "token_type": "Bearer", "expires_in": 300}
        return 404, {}

    def _coming_back(self, asked: dict[str, str]) -> str:
        """Where the browser is sent: whoever comes is the person."""
        right = {"response_type": "code", "client_id": CONSOLE, "code_challenge_method": "S256"}
        back = {"state": asked["state"], "iss": self.url}
        if right.items() <= asked.items() and "openid" in asked["scope"].split():
            code = f"code-{len(self.asked)}"
            self.codes[code] = asked
            back["code"] = code
        else:
            back["error"] = "invalid_request"
        return f"{asked['redirect_uri']}?{urlencode(back)}"

    def _exchanged(self, form: dict[str, str], authorization: str) -> tuple[int, Any]:
        """A code is good once, for who has begun with it (RFC 6749, clause 4.1.3; RFC 7636, clause 4.6)."""
        asked = self.codes.pop(form.get("code", ""), None)
        given = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        if given != f"{CONSOLE}:{quote_plus(SECRET)}":
            return 401, {"error": "invalid_client"}
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).decode().rstrip("=")
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != form.get("redirect_uri"):
            return 400, {"error": "invalid_grant"}
        claims = {"aud": CONSOLE, "sub": self.person, "nonce": asked["nonce"]} | self.signed_in
        return 200, {"access_token": "opaque", "token_type": "Bearer", "id_token": self.token(**claims)}

    def _public(self, kid: str, key: Any) -> dict[str, Any]:
        algorithm: Any = (
            jwt.algorithms.ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else jwt.algorithms.RSAAlgorithm
        )
        return json.loads(algorithm.to_jwk(key.public_key())) | {"kid": kid, "use": "sig"}

    @contextmanager
    def serving(self) -> Iterator[OidcIssuer]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
                status, said = issuer.answer(self.path, parse_qs(body), self.headers.get("Authorization", ""))
                octets = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", said)
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            do_POST = do_GET

            def log_message(self, *_: Any) -> None: ...

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()
