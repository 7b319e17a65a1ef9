"""The containers with mutual TLS: nobody is let in but CIS and HES. What else has to hold is tried with both profiles in test_compose.py."""

from __future__ import annotations

import httpx
import pytest
from compose_project import Secure
from patience import PATIENCE_S

pytestmark = [pytest.mark.compose, pytest.mark.needs("docker"), pytest.mark.timeout(600)]


def test_who_shows_no_certificate_gets_no_answer(secure: Secure) -> None:
    where = secure.run("port", "hes", "8081").stdout.strip()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"https://{where}/healthz", verify=False, trust_env=False, timeout=PATIENCE_S)
    plain = httpx.get(f"http://{where}/healthz", trust_env=False, timeout=PATIENCE_S)
    assert (plain.status_code, "https://" in plain.text) == (400, True)


def test_who_is_on_the_network_of_the_cis_and_shows_its_own_certificate_may_order_nothing(secure: Secure) -> None:
    """A certificate of the authority opens a connection; it is no principal of the HES."""
    code = """if True:
        import ssl, urllib.request
        context = ssl.create_default_context(cafile="/tls/hes/authorities.pem")
        context.load_cert_chain("/tls/hes/certificate.pem", "/tls/hes/key.pem")
        body = b"<Envelope xmlns='http://schemas.xmlsoap.org/soap/envelope/'><Body/></Envelope>"
        request = urllib.request.Request("https://hes-north:8081/cim/ExecuteEndDeviceControls", body, {"Content-Type": "text/xml"})
        try:
            urllib.request.urlopen(request, context=context, timeout=5)
        except urllib.error.HTTPError as refused:
            print(refused.code, refused.read().decode())
        """
    said = secure.python("hes", code)
    assert "7.2" in said.stdout, said
