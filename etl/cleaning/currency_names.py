"""What currencies are called: ISO 4217 codes, their numbers, and the names and signs that people write."""

import re
import unicodedata

_ISO = """
AED784 AFN971 ALL008 AMD051 ANG532 AOA973 ARS032 AUD036 AWG533 AZN944 BAM977 BBD052 BDT050 BGN975 BHD048 BIF108
BMD060 BND096 BOB068 BOV984 BRL986 BSD044 BTN064 BWP072 BYN933 BZD084 CAD124 CDF976 CHE947 CHF756 CHW948 CLF990
CLP152 CNY156 COP170 COU970 CRC188 CUC931 CUP192 CVE132 CZK203 DJF262 DKK208 DOP214 DZD012 EGP818 ERN232 ETB230
EUR978 FJD242 FKP238 GBP826 GEL981 GHS936 GIP292 GMD270 GNF324 GTQ320 GYD328 HKD344 HNL340 HRK191 HTG332 HUF348
IDR360 ILS376 INR356 IQD368 IRR364 ISK352 JMD388 JOD400 JPY392 KES404 KGS417 KHR116 KMF174 KPW408 KRW410 KWD414
KYD136 KZT398 LAK418 LBP422 LKR144 LRD430 LSL426 LYD434 MAD504 MDL498 MGA969 MKD807 MMK104 MNT496 MOP446 MRU929
MUR480 MVR462 MWK454 MXN484 MXV979 MYR458 MZN943 NAD516 NGN566 NIO558 NOK578 NPR524 NZD554 OMR512 PAB590 PEN604
PGK598 PHP608 PKR586 PLN985 PYG600 QAR634 RON946 RSD941 RUB643 RWF646 SAR682 SBD090 SCR690 SDG938 SEK752 SGD702
SHP654 SLE925 SLL694 SOS706 SRD968 SSP728 STN930 SVC222 SYP760 SZL748 THB764 TJS972 TMT934 TND788 TOP776 TRY949
TTD780 TWD901 TZS834 UAH980 UGX800 USD840 USN997 UYI940 UYU858 UYW927 UZS860 VED926 VES928 VND704 VUV548 WST882
XAF950 XAG961 XAU959 XCD951 XCG532 XDR960 XOF952 XPF953 YER886 ZAR710 ZMW967 ZWG924 ZWL932
"""
CODES = {entry[:3]: entry[3:] for entry in _ISO.split()}
"""ISO 4217: number by code, those of coins and funds included that card networks still send."""
_BY_NUMBER = {number: code for code, number in reversed(CODES.items())}

_NAMES = {
    "PEN": "s/ sol soles nuevosol nuevossoles solperuano solesperuanos peruviansol peruviansoles",
    "USD": "us$ u$s u$d usd$ $us dollar dollars usdollar usdollars americandollars dolar dolares dolaramericano "
    "dolaresamericanos",
    "EUR": "€ euro euros",
    "GBP": "£ gb£ £stg pound pounds poundsterling poundssterling sterling libraesterlina librasesterlinas",
    "BRL": "r$ real reais reales brazilianreal",
    "JPY": "jp¥ yen yenes japaneseyen",
    "CNY": "cn¥ yuan yuanes renminbi rmb",
    "INR": "₹ indianrupee indianrupees",
    "CHF": "sfr swissfranc swissfrancs francosuizo francossuizos",
    "MXN": "mx$ mex$ mxn$ mexicanpeso mexicanpesos pesomexicano pesosmexicanos",
    "CLP": "clp$ ch$ chileanpeso chileanpesos pesochileno pesoschilenos",
    "COP": "cop$ col$ colombianpeso colombianpesos pesocolombiano pesoscolombianos",
    "ARS": "ars$ ar$ argentinepeso argentinepesos pesoargentino pesosargentinos",
    "UYU": "$u uyu$ pesouruguayo pesosuruguayos",
    "BOB": "boliviano bolivianos",
    "PYG": "₲ guarani guaranies",
    "CRC": "₡ colon colones",
    "GTQ": "quetzal quetzales",
    "VES": "bolivar bolivares",
    "CAD": "ca$ c$ can$ cad$ canadiandollar canadiandollars dolarcanadiense dolarescanadienses",
    "AUD": "a$ au$ aud$ australiandollar australiandollars",
    "NZD": "nz$ nzd$ newzealanddollar newzealanddollars",
    "HKD": "hk$ hkd$ hongkongdollar hongkongdollars",
    "SGD": "s$ sg$ sgd$ singaporedollar singaporedollars",
    "TWD": "nt$ twd$",
    "KRW": "₩ won",
    "ILS": "₪ shekel shekels",
    "VND": "₫ dong",
    "PHP": "₱ philippinepeso philippinepesos",
    "TRY": "₺ turkishlira",
    "RUB": "₽ ruble rubles rouble roubles rublo rublos",
    "UAH": "₴ hryvnia",
    "NGN": "₦ naira",
    "GHS": "₵ cedi cedis",
    "KZT": "₸ tenge",
    "THB": "฿ baht",
    "PLN": "zł zl zloty zlotys",
    "CZK": "kc koruna",
    "HUF": "forint",
    "ZAR": "rand",
}
_SEVERAL = "$ ¥ kr rs ₨ bs peso pesos rupee rupees rupia rupias franc francs franco francos lira xxx"
_AMBIGUOUS = frozenset(_SEVERAL.split())
_BY_NAME = {name: code for code, names in _NAMES.items() for name in names.split()}
_FILLING = re.compile(r"[\s.]+")


def currency_code(text: str) -> tuple[str | None, bool]:
    """The ISO 4217 code of a code, a number of ISO 4217, a name or a sign; and whether it is known at all.

    A sign of several currencies (`$`, `kr`) is known, and has no code; so has XXX, the code for none.
    """
    upper = text.strip().upper()
    if upper in CODES:
        return upper, True
    if upper.isascii() and upper.isdigit() and len(upper) <= 3:
        code = _BY_NUMBER.get(upper.zfill(3))
        return code, code is not None
    plain = unicodedata.normalize("NFKD", text).casefold()
    name = _FILLING.sub("", "".join(c for c in plain if not unicodedata.combining(c)))
    if name in _AMBIGUOUS:
        return None, True
    code = _BY_NAME.get(name) or (name.upper() if name.upper() in CODES else None)
    return code, code is not None
