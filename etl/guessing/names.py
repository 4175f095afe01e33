"""What a column's name says: its words, in English and Spanish, spelled out or abbreviated, as concepts of payments."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache

WORDS: dict[str, str] = {
    # things that have identifiers
    "transaction": "tx txn txns trx trxn tran trans transaction transactions transaccion transacciones operation "
    "operacion op oper order orders orden pedido payment payments pago pagos purchase purchases compra sale sales "
    "venta invoice factura event evento transfer transferencia movement movimiento ticket boleta receipt recibo "
    "booking reserva reservation authorization authorisation auth",
    "user": "user users usr customer customers cust cstmr client clients cliente clientes clte cli usuario usuarios "
    "member membership miembro socio buyer comprador sender payer pagador cardholder titular person persona party "
    "subscriber suscriptor guest huesped consumer consumidor passenger pasajero rider shopper applicant solicitante "
    "orig ori originator ordenante debtor remitter remitente owner player holder",
    "account": "account accounts acct acc acnt cuenta iban wallet billetera monedero",
    "card": "card cards cc pan tarjeta creditcard debitcard ccnum",
    "merchant": "merchant merchants merch mer mrch mcht shop store restaurant restaurante vendor seller vendedor "
    "terminal comercio tienda establecimiento establishment venue outlet pos payee beneficiary beneficiario "
    "beneficiaria dest destination destinatario recipient receiver negocio proveedor supplier retailer business "
    "branch sucursal creditor partner afiliado",
    "device": "device devices dev dispositivo dispositivos fingerprint fp huella imei udid idfa gaid idfv handset "
    "equipo celular machine aparato",
    "ip": "ip ipaddress ipaddr ipv4 ipv6",
    "email": "email mail emails correo",
    "phone": "phone telephone telefono tel mobile movil msisdn fono phonenumber",
    "address": "address addr direccion domicilio street calle",
    "document": "dni ssn passport pasaporte document documento ruc nif nie cuit curp rut taxid cedula nationalid",
    "cookie": "cookie cookies",
    "session": "session sesion sessionid",
    # what is known of a transaction
    "amount": "amount amt amnt value val valor total totals price precio monto mto importe imp sum suma cost costo "
    "coste charge cargo charged spend spent gasto paid pagado gross revenue ticketsize",
    "currency": "currency curr ccy moneda divisa cur",
    "time": "ts date dates time times datetime timestamp dt fecha fec fch hora tiempo momento moment when epoch at "
    "step instant calendar",
    "fraud": "fraud frauds fraudulent fraude fraudes fraudulento fraudulenta fraudster isfraud scam estafa frd",
    "outcome": "label class target y etiqueta clase objetivo outcome response",
    "dispute": "chargeback chargebacks contracargo contracargos dispute disputed disputa cb cbk reclamo reversal "
    "reversed reverso",
    "method": "method metodo tender medio medios forma instrument instrumento wallettype paymethod",
    "city": "city ciudad town location ubicacion localidad municipio municipality",
    "region": "region state estado province provincia county district distrito departamento comuna",
    "country": "country pais nation nationality nacionalidad",
    "zip": "zip zipcode postal postcode postalcode cp codpostal",
    # qualifiers
    "id": "id ids key no nro num number numero code codigo cod cd uid uuid guid ref reference referencia hash "
    "hashed identifier identificador token sk pk nbr fingerprint hex clave",
    "index": "index idx row rownum rowid unnamed level0 fila rowno serial",
    "name": "name names nombre nombres",
    "person": "first last surname firstname lastname apellido apellidos fullname middle maiden given family",
    "kind": "type types tipo kind category categoria categories cat brand marca os model modelo version status "
    "segment tier mode channel canal browser navegador group grupo network issuer bank banco scheme domain dominio "
    "provider used usado info chip agent language idioma source level nivel sector industry mcc job "
    "occupation ocupacion gender sex genero sexo plan",
    "derived": "count counts cnt distinct unique avg average mean median std stdev var ratio similarity score "
    "velocity valid validity is has have flag length len percent pct rate freq frequency months weeks month week "
    "free match matched mismatch attempts attempt tries tenure age edad distance dist diff delta "
    "change rolling cumulative cum max min maximum minimum zscore rank percentile population pop risk riesgo "
    "present expected 24h 7d 30d 4w 8w 6h 1h 90d 60d trend limit balance saldo income ingreso salary salario",
    "past": "previous prev prior past history historical anterior previo ultimo ultima lifetime earlier",
    "began": "signup sign registered registration register registro alta joined join opened open opening apertura "
    "birth birthday dob nacimiento born enrolled enrollment activation activated since onboarded onboarding "
    "created_account firstseen issued emision start started",
    "created": "created create creation creado creada creacion",
    "occurred": "occurred occured happened placed ordered executed transacted initiated ocurrido",
    "known": "known reported report reporte reportado confirmed confirmado decided decision resolved resolution "
    "labelled labeled flagged closed detected detection notified notification investigation investigated "
    "review reviewed verdict resuelto conocido denuncia",
    "arrived": "arrived arrival received recibido ingested ingestion inserted insertion loaded load stored posted "
    "posting processed settled settlement captured recorded cargado llegada etl",
    "changed": "updated update modified modification changed actualizado actualizacion modificado",
    "ends": "expiry expiration expires exp expire due vencimiento caducidad end ended",
    "geo": "lat latitude lon long lng longitude latitud longitud coordinates coords geohash geo",
    "extra": "fee fees tax tip propina discount descuento shipping envio igv iva vat surcharge commission comision "
    "quantity qty cantidad items units unidades cashback refund refunded",
    "scenario": "scenario escenario typology tipologia ring pattern",
    "unit": "seconds second sec secs segundos minutes minute mins minutos hours hour hr hrs horas days day dia dias "
    "ms millis milliseconds us micros ns unix posix year anio ano mes quarter weekday dayofweek",
    "filler": "the of de del la el to in on by for a and my raw new old org remote billing ship "
    "delivery home work primary secondary main local utc gmt usd",
    "cents": "cents cent centavos centimos minor centimo",
}
"""Words by concept. A word may stand for several."""

_CONCEPTS: dict[str, frozenset[str]] = {}
for _concept, _words in WORDS.items():
    for _word in _words.split():
        _CONCEPTS[_word] = _CONCEPTS.get(_word, frozenset()) | {_concept}

_SHORT = frozenset({"id", "ip", "no", "tx", "is", "at", "cc", "ts", "dt", "of", "to", "os", "by", "cd", "de"})
_PIECES = frozenset(word for word in _CONCEPTS if len(word) > 2 or word in _SHORT)
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BREAKS = re.compile(r"[^0-9a-z]+|(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])")
_WINDOW = re.compile(r"(?<![a-z0-9])\d+[hdwmy](?![a-z0-9])")
_PAIRS = {
    ("card", "holder"): "cardholder",
    ("first", "seen"): "firstseen",
    ("remote", "addr"): "ip",
    ("remote", "address"): "ip",
    ("tarjeta", "habiente"): "titular",
}
_UNITS = {
    "s": ("seconds", "second", "sec", "secs", "segundos"),
    "m": ("minutes", "minute", "mins", "minutos"),
    "h": ("hours", "hour", "hr", "hrs", "horas"),
    "d": ("days", "day", "dia", "dias"),
    "ms": ("ms", "millis", "milliseconds"),
    "us": ("us", "micros"),
    "ns": ("ns",),
}

IDENTITIES = ("ip", "email", "phone", "cookie", "session", "device", "card", "document", "address", "merchant")
"""Concepts of things that link users, the narrower before the wider: of `customer_device` the device is meant."""


@dataclass(frozen=True)
class ColumnName:
    """A column's name, as words and concepts.

    Attributes:
        words: lower case, without accents, in order; numbers are words too.
    """

    text: str
    words: tuple[str, ...]

    @cached_property
    def concepts(self) -> frozenset[str]:
        """All concepts of the words."""
        return frozenset().union(*(_CONCEPTS.get(word, frozenset()) for word in self.words)) | (
            {"derived"} if _WINDOW.search(_plain(self.text).replace("_", " ")) else frozenset()
        )

    @cached_property
    def unknown(self) -> tuple[str, ...]:
        """Words that say nothing to us, numbers left out."""
        return tuple(word for word in self.words if word not in _CONCEPTS and not word.isdigit())

    @cached_property
    def numbered(self) -> bool:
        """It ends in a number, as one of several of its kind: `V12`, `card1`, `id_01`."""
        return len(self.words) > 1 and self.words[-1].isdigit()

    @cached_property
    def identity(self) -> str | None:
        """The kind of thing it identifies, if it is the name of an identifier and not of a property."""
        found = self.concepts
        if found & {"kind", "derived", "geo", "time", "past", "extra", "person", "fraud", "dispute"} - self._excused:
            return None
        if found & {"amount", "currency", "country", "zip", "city", "region", "outcome", "scenario", "method"}:
            return None
        for concept in IDENTITIES:
            if concept in found:
                return concept
        if "user" in found:
            return "user"
        return "account" if "account" in found else None

    @cached_property
    def _excused(self) -> frozenset[str]:
        # `user_agent` and `sales_channel` are properties; `dest_bank_account` is an account all the same.
        if "account" in self.concepts and {"bank", "banco"} & set(self.words):
            return frozenset({"kind"})
        return frozenset({"extra"}) if "address" in self.concepts else frozenset()

    @cached_property
    def unit(self) -> str | None:
        """The unit of time that it names, as in a mapping's `epoch`."""
        return next((unit for unit, words in _UNITS.items() if set(words) & set(self.words)), None)

    def has(self, *concepts: str) -> bool:
        """Whether it has all of these concepts."""
        return set(concepts) <= self.concepts

    def any(self, *concepts: str) -> bool:
        """Whether it has one of these concepts."""
        return bool(set(concepts) & self.concepts)


@lru_cache(maxsize=4096)
def column_name(text: str) -> ColumnName:
    """Takes a name apart: at signs, blanks, humps (`userId`) and digits, and run-together words (`transdate`)."""
    parts = [part for part in _BREAKS.split(_plain(_HUMPS.sub(" ", text))) if part]
    words: list[str] = []
    for part in parts:
        words += [part] if part in _CONCEPTS or part.isdigit() else _taken_apart(part)
    return ColumnName(text, tuple(_joined(words)))


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign)).lower()


def _joined(words: list[str]) -> list[str]:
    """Pairs that mean something together."""
    result: list[str] = []
    for word in words:
        joined = _PAIRS.get((result[-1], word)) if result else None
        if joined:
            result[-1] = joined
        else:
            result.append(word)
    return result


def _taken_apart(part: str) -> list[str]:
    """A run-together word as known words, as few as possible; itself where it is none."""
    best: list[list[str] | None] = [[]] + [None] * len(part)
    for end in range(2, len(part) + 1):
        for start in range(end - 1):
            before = best[start]
            if before is not None and part[start:end] in _PIECES:
                known = best[end]
                if known is None or len(before) + 1 < len(known):
                    best[end] = [*before, part[start:end]]
    found = best[-1]
    return found if found and len(part) >= 4 and len(found) <= 4 else [part]
