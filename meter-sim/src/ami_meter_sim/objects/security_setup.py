"""Security setup (class 64, versions 0 and 1): policy, key transfer, key agreement, key pairs and certificates.

Strategy: a method checks everything before it changes anything, and what it changes is one commit; the new keys and policy count from
the next association on, since `keys.security_in_force` is asked then, or from the next request where the model has `at_once`. The answer
always goes under the keys of the request. No attribute and no answer holds a secret key.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from ami_dlms import data
from ami_dlms.association import Security
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataTag
from ami_dlms.errors import DlmsError, LocalError
from ami_dlms.security import (
    PrivateKey,
    ProtectionFlags,
    SecurityPolicy,
    agree_ephemeral_unified,
    algorithm_of,
    open_ephemeral_key,
    signed_ephemeral_key,
    unwrap_key,
)
from ami_dlms.security.suites import suite_of
from ami_meter_sim.objects import certificates as x509
from ami_meter_sim.objects.certificates import Certificate, CertificateError, Entity
from ami_meter_sim.objects.cosem_object import ActionRefused, Options, ReadContext
from ami_meter_sim.objects.kept_object import KeptObject, parameter
from ami_meter_sim.objects.keys import (
    CERTIFICATES,
    CODED_BY_BITS,
    certificates_of,
    keep_keys,
    security_in_force,
    with_keys,
)
from ami_meter_sim.objects.recording import record
from ami_meter_sim.objects.secrets import Secret, keep_secret, secret_of
from ami_meter_sim.objects.shapes import AnyOf, Array, Number, Octets, Structure
from ami_packs.event_list import Occurrence

MOST_KEYS = 4
MOST_CERTIFICATES = 16
DRAWS = 8
MASTER = 3
TRANSFER_0 = Array(Structure(Number(DataTag.ENUM, range(3)), Octets(most=64)), MOST_KEYS)
TRANSFER_1 = Array(Structure(Number(DataTag.ENUM, range(4)), Octets(most=64)), MOST_KEYS)
AGREEMENT = Array(Structure(Number(DataTag.ENUM, range(4)), Octets(most=256)), MOST_KEYS)
PAIR = Number(DataTag.ENUM, range(3))
KIND = Number(DataTag.ENUM, range(4))
BY_ENTITY = Structure(Number(DataTag.ENUM, range(1)), Structure(KIND, KIND, Octets(most=64)))
BY_SERIAL = Structure(Number(DataTag.ENUM, range(1, 2)), Structure(Octets(most=64), Octets(most=1024)))
SELECTION = AnyOf(BY_ENTITY, BY_SERIAL)
PAIRS = {
    x509.SIGNATURE: (Secret.NEW_SIGNING_KEY, Secret.SIGNING_KEY),
    x509.AGREEMENT: (Secret.NEW_AGREEMENT_KEY, Secret.AGREEMENT_KEY),
    x509.TLS: (Secret.NEW_TLS_KEY, Secret.TLS_KEY),
}
"""Use of a key pair -> where it lies until its certificate is there, and where from then on."""


def _refuse_unless(holds: bool, result: ActionResult = ActionResult.OTHER_REASON) -> None:
    if not holds:
        raise ActionRefused(result)


class SecuritySetupV0(KeptObject):
    """security_policy 0 none, 1 authenticated, 2 encrypted, 3 both; for a client, what counts in its own association."""

    __slots__ = ()

    class_id, version = 64, 0
    options: ClassVar[Options] = {"at_once": False, "new_counters": False}
    """Whether changed keys and policy count from the next request on, and whether counters begin anew with a new unicast key."""
    reads: ClassVar = {
        "security_policy": lambda self, context: self._policy_number(self._shown(context)),
        "security_suite": lambda self, context: 0 if (shown := self._shown(context)) is None else shown.suite,
        "client_system_title": lambda _, context: context.client_system_title or b"",
        "server_system_title": lambda self, _: self.device.identity.system_title or b"",
    }
    methods: ClassVar = {
        "security_activate": lambda self, given: self._activate(given),
        "global_key_transfer": lambda self, given: self._transfer(parameter(given, TRANSFER_0)),
    }

    # --- what counts

    def _shown(self, context: ReadContext) -> Security | None:
        """After a change what will count; for a client of another security setup, what counts for it."""
        own = security_in_force(self.device, self.described.obis)
        return own if own is not None or context.profile is None else context.profile.security

    def _in_force(self) -> Security:
        found = security_in_force(self.device, self.described.obis)
        if found is None:
            raise ActionRefused(ActionResult.OTHER_REASON)
        return found

    def _policy_number(self, security: Security | None) -> int:
        if security is None:
            return 0
        try:
            return security.required.version_0
        except LocalError:  # a policy that version 0 has no number for
            return 3

    def _read_policy(self, given: Data | None) -> SecurityPolicy:
        return SecurityPolicy.from_version_0(parameter(given, Number(DataTag.ENUM, range(4))).value)

    def _keep_policy(self, policy: SecurityPolicy) -> None:
        self.device.kept.put(self.class_id, self.described.obis, _POLICY, data.enum(policy.version_0))

    # --- security_activate

    def _activate(self, given: Data | None) -> None:
        """What is required may only grow."""
        try:
            wanted, now = self._read_policy(given), self._in_force()
            _refuse_unless(_stronger(wanted.request, now.required.request))
            _refuse_unless(_stronger(wanted.response, now.required.response))
            replace(now, policy=wanted)
        except LocalError:
            raise ActionRefused(ActionResult.OTHER_REASON) from None
        if wanted != now.required:
            self._keep_policy(wanted)
            self.device.communication.security_changed(at_once=self.option("at_once"))
            record(self.device, Occurrence.SECURITY_CHANGED)

    # --- key_transfer

    def _transfer(self, given: Data) -> None:
        """All keys or none: each has to open under the master key and to fit the suite."""
        now = self._in_force()
        _refuse_unless(bool(given.value) and now.keys.master_key is not None)
        pairs = [(one.value[0].value, one.value[1].value) for one in given.value]
        _refuse_unless(len({key_id for key_id, _ in pairs}) == len(pairs))
        try:
            self._change(now, {key_id: unwrap_key(now.keys.master_key or b"", wrapped) for key_id, wrapped in pairs})
        except DlmsError:
            raise ActionRefused(ActionResult.OTHER_REASON) from None

    def _change(self, now: Security, changed: dict[int, bytes]) -> None:
        """LocalError when a key does not fit; nothing has changed then."""
        with_keys(now, changed)
        keep_keys(self.device, self.described.obis, changed)
        new_counters = self.option("new_counters") and _UNICAST in changed
        begin = self.described.obis if new_counters else None
        self.device.communication.security_changed(at_once=self.option("at_once"), new_counters_of=begin)
        record(self.device, Occurrence.KEYS_CHANGED)


class SecuritySetupV1(SecuritySetupV0):
    """security_policy as bits: 4, 8, 16 for requests that are authenticated, encrypted, signed; 32, 64, 128 for responses."""

    __slots__ = ()

    class_id, version = 64, 1
    reads: ClassVar = {
        **SecuritySetupV0.reads,
        "certificates": lambda self, _: data.array(*(one.info() for one in self._certificates())),
    }
    methods: ClassVar = {
        "security_activate": lambda self, given: self._activate(given),
        "key_transfer": lambda self, given: self._transfer(parameter(given, TRANSFER_1)),
        "key_agreement": lambda self, given: self._agree(parameter(given, AGREEMENT)),
        "generate_key_pair": lambda self, given: self._generate(parameter(given, PAIR).value),
        "generate_certificate_request": lambda self, given: self._request(parameter(given, PAIR).value),
        "import_certificate": lambda self, given: self._import(parameter(given, Octets(most=x509.MOST_OCTETS)).value),
        "export_certificate": lambda self, given: data.octet_string(self._chosen(given).der),
        "remove_certificate": lambda self, given: self._remove(self._chosen(given)),
    }

    def _policy_number(self, security: Security | None) -> int:
        return 0 if security is None else security.required.version_1

    def _read_policy(self, given: Data | None) -> SecurityPolicy:
        return SecurityPolicy.from_version_1(parameter(given, Number(DataTag.ENUM, range(256))).value)

    def _keep_policy(self, policy: SecurityPolicy) -> None:
        self.device.kept.put(self.class_id, self.described.obis, _POLICY, data.enum(policy.version_1))
        self.remember(CODED_BY_BITS, data.boolean(True))

    # --- key_agreement

    def _agree(self, given: Data) -> Data:
        """C(2e,0s), one key at a time or several: the answer has our half for each."""
        now = self._in_force()
        pairs = [(one.value[0].value, one.value[1].value) for one in given.value]
        _refuse_unless(bool(pairs) and len({key_id for key_id, _ in pairs}) == len(pairs))
        try:
            agreed = {key_id: self._agreed(now, key_id, key_data) for key_id, key_data in pairs}
            self._change(now, {key_id: key for key_id, (key, _) in agreed.items()})
        except DlmsError:
            raise ActionRefused(ActionResult.OTHER_REASON) from None
        halves = (data.structure(data.enum(key_id), data.octet_string(half)) for key_id, (_, half) in agreed.items())
        return data.array(*halves)

    def _agreed(self, now: Security, key_id: int, key_data: bytes) -> tuple[bytes, bytes]:
        """The key, and our public half with our signature."""
        held, client_title = (
            now.asymmetric,
            self.device.communication.asked_by.client_system_title or now.peer_system_title,
        )
        if held.signing is None or held.peer_signing is None or client_title is None:
            raise ActionRefused(ActionResult.OTHER_REASON)
        theirs = open_ephemeral_key(key_data, held.peer_signing, key_id)
        ours = self._new_key()
        algorithm = algorithm_of(suite_of(now.suite), wraps=key_id == MASTER)
        key = agree_ephemeral_unified(ours, theirs, client_title, now.system_title, algorithm)
        return key, signed_ephemeral_key(ours, held.signing, key_id)

    # --- key pairs and certificates

    def _new_key(self) -> PrivateKey:
        length = suite_of(self._in_force().suite).coordinate_length
        _refuse_unless(bool(length))
        for _ in range(DRAWS):
            try:
                return PrivateKey(self.device.communication.random_bytes(length))
            except LocalError:  # the few numbers beyond the order of the curve
                continue
        raise ActionRefused(ActionResult.OTHER_REASON)

    def _generate(self, use: int) -> None:
        """The pair waits for its certificate; what was used until now goes on being used."""
        keep_secret(self.device.kept, self.class_id, self.described.obis, PAIRS[use][0], self._new_key().octets)

    def _request(self, use: int) -> Data:
        """PKCS#10 for the pair that was generated last."""
        octets = self._secret(PAIRS[use][0])
        if octets is None:
            raise ActionRefused(ActionResult.OTHER_REASON)
        return data.octet_string(x509.certificate_request(PrivateKey(octets), self._in_force().system_title))

    def _secret(self, which: Secret) -> bytes | None:
        return secret_of(self.device.kept, self.class_id, self.described.obis, which)

    def _certificates(self) -> list[Certificate]:
        return list(certificates_of(self.device, self.described.obis))

    def _import(self, der: bytes) -> None:
        now, there = self._in_force(), self._certificates()
        try:
            new = Certificate.read(der, now.system_title)
        except CertificateError:
            raise ActionRefused(ActionResult.OTHER_REASON) from None
        issuers = [one for one in there if one.entity is Entity.CERTIFICATION_AUTHORITY]
        _refuse_unless(x509.fits_suite(new, now.suite) and len(there) < MOST_CERTIFICATES)
        _refuse_unless(not issuers or any(new.issued_by(issuer) for issuer in issuers))
        if new.entity is Entity.SERVER:
            self._take_pair(new)
        kept = [one for one in there if not _same_place(one, new)]
        self._keep_certificates([*kept, new])

    def _take_pair(self, new: Certificate) -> None:
        """Our own certificate is one of a pair that was generated here; from now on that pair is used."""
        waiting, used = PAIRS.get(new.purpose, (None, None))
        octets = None if waiting is None else self._secret(waiting)
        if octets is None or waiting is None or used is None or PrivateKey(octets).public_key != new.public_key:
            raise ActionRefused(ActionResult.OTHER_REASON)
        keep_secret(self.device.kept, self.class_id, self.described.obis, used, octets)
        keep_secret(self.device.kept, self.class_id, self.described.obis, waiting, None)

    def _keep_certificates(self, certificates: list[Certificate]) -> None:
        self.remember(CERTIFICATES, data.array(*(data.octet_string(one.der) for one in certificates)))
        self.device.communication.security_changed(at_once=self.option("at_once"))

    def _chosen(self, given: Data | None) -> Certificate:
        kind, selection = parameter(given, SELECTION).value
        wanted = tuple([part.value for part in selection.value])
        of: Callable[[Certificate], tuple[object, ...]] = _by_serial if kind.value else _by_entity
        for one in self._certificates():
            if of(one) == wanted:
                return one
        raise ActionRefused(ActionResult.OBJECT_UNDEFINED)

    def _remove(self, gone: Certificate) -> None:
        self._keep_certificates([one for one in self._certificates() if one.der != gone.der])


def _by_entity(one: Certificate) -> tuple[object, ...]:
    return one.entity, one.purpose, one.title


def _by_serial(one: Certificate) -> tuple[object, ...]:
    return one.serial, one.issuer


def _same_place(one: Certificate, other: Certificate) -> bool:
    """A later certificate of the same entity and use takes the place of the earlier one; issuers stay side by side."""
    if one.entity is Entity.CERTIFICATION_AUTHORITY:
        return one.der == other.der
    return _by_entity(one) == _by_entity(other)


def _stronger(wanted: ProtectionFlags, now: ProtectionFlags) -> bool:
    return not now & ~wanted


_POLICY, _UNICAST = 2, 0
