"""What real archives call their series, and the phase that each description means."""

from __future__ import annotations

import pytest

from gluon_liver.phases.rules import PhaseRules, match_description
from gluon_liver.phases.words import none_of_the_phases, with_and_without

MEANS = {
    "non_contrast": """
        PRE | PRE CONTRAST | PRE-CONTRAST 5.0 | PRE LIVER | Liver Pre 2.5mm | PLAIN | PLAIN 5.0 B30f | NC | NCCT
        NECT | ABD NC | C- | C- ABD | LIVER C-  5mm | ABD -C | (C-) | NON CON | NONCON | Non-Contrast
        NON CONTRAST ABD | no contrast | W/O | ABD W/O | ABD W/O CONTRAST | ABDOMEN WO | WO CON | ABD_WO_C
        CT ABD WITHOUT | without iv contrast | W/O IV | w/out | AP W/O | CT AP WO CONTRAST | unenhanced
        Unenhanced 5.0 | non enhanced | TNC | true non contrast | IV- | KM- | nativ | Abdomen nativ 5.0
        Oberbauch nativ | Leber nativ | native | ohne KM | Abdomen ohne KM | Abd. o. KM | ohne Kontrastmittel
        Abdomen ohne i.v. KM | sans injection | ABDO SANS | sans IV | SANS PDC | non injecté | sin contraste
        ABD SIMPLE | senza mdc | basale | sem contraste | abd blanco | 平扫 | 肝脏平扫 | 上腹部平扫 5mm | CT平扫
        平掃 | 非增强 | 增强前 | 単純 | 조영전 | NC平扫
    """,
    "arterial": """
        ART | art 1.25 | ART. | ARTERIAL | Arterial Phase | EARLY ARTERIAL | LATE ART | late arterial
        LATE HEPATIC ARTERIAL | HAP | LHAP | EAP | AP | AP 1.25mm | AP_5.0 | Liver AP | ABD AP 2.5 | W+WO ART
        LIVER W/WO ART | A/P ART | ABD ART W | arteriell | Abdomen arteriell | arterielle Phase | spätarteriell
        Spätarteriell 3.0 | frueharteriell | Spät arteriell | Spät-art.
        phase artérielle | ARTÉRIELLE | arterielle | FOIE ARTERIEL | fase arteriosa | arterial 35s | ART 25 SEC
        ABD/PEL ART | 动脉期 | 动脉 | 晚动脉期 | 肝动脉期 | 動脈期 | 動脈相 | 동맥기 | CT增强动脉期
    """,
    "delayed": """
        DELAY | DELAYED | DELAYS | Delayed 5 min | DELAY 3MIN | 3 MIN DELAY | 3min | 5 MIN | 10-min | DEL | DEL 3MIN
        DLY | EQP | EQ | EQUIL | EQUILIBRIUM | Equilibrium phase | LATE | LATE PHASE | 180s | 180 SEC
        DELAYED 5.0 B30s | ABD W WO DELAY | spät | Spätphase | SPAETPHASE | phase tardive | TEMPS TARDIF | tardia
        tardío | 5 Minuten | verzögert | retardada | 延迟期 | 延迟 | 延遲 | 平衡期 | 延时 3min | 後期相 | 지연기
    """,
    "": """
        ABD W/O & W CONTRAST | W/O & W | W & W/O | W WO | WO W | W+WO | W/WO | WO/W | WO_W | W AND WO
        ABD W AND W/O | with and without | without and with contrast | W/ & W/O | WITH/WITHOUT | WWO | ABDOMEN W W/O
        CT ABD W-WO | mit und ohne | mit und ohne KM | ohne und mit KM | mit/ohne Kontrastmittel | ohne/mit KM
        m. und o. KM | avec et sans | sans et avec injection | sans puis avec | con y sin contraste | sin y con
        con e senza mdc | C+/C- | C-/C+ | C- C+ | C-C+ | C+- | C-/+ | +/-C | +/- contrast | IV-/IV+ | KM +/-
        PRE AND POST CONTRAST | PRE/POST | plain and contrast | NC + C+ | nativ + KM | nativ und KM | nativ/KM
        平扫+增强 | 增强+平扫 | CT上腹部平扫及增强 | PV | PVP | PORTAL | Portal Venous | portal-venous 70s | VENOUS
        VEN | portalvenös | pfortader | porto-veineux | fase venosa | portale | 70 SEC PORTAL DELAY | 门脉期
        门静脉期 | 静脉期 | 門脈期 | ART+PV | AP LAT SCOUT | SCOUT AP | Topogram | AP/LAT | AP & LAT | surview
        localizer AP | 定位像 | CHEST AP | PreMonitoring | Monitoring 10s | BOLUS TRACKING | SMART PREP | VNC
        ART SUB | Subtraktion art-nativ
        ARTERIAL IODINE MAP | Iodine(Water) ART | Art Z eff | Art overlay
        Virtual non contrast | CT AP W CONTRAST | AP W CON | CT AP | LIVER 3 PHASE (AP) | 3 PHASE LIVER ABD
        Recon 2: 3 PHASE LIVER | CAP W | PRE OP | PRE TACE | PRE-TREATMENT | PRE RFA LIVER | ABD W ORAL W/O RECTAL
        W/ORAL | ABD W | W CONTRAST | ABD POST | TC DEL ABDOMEN | TAC del hígado | ABDOMEN 5.0 B30s | THORAX
        STANDARD | HEART | START | DELAY 30s | 70 SEC DELAY | 1 MIN DELAY | 60 sec | 增强 | 主动脉CTA | 肺动脉 | cAP
        portable | LUNG | ABD/PEL 2.5mm STND
    """,
}
TABLE = [
    (text.strip(), phase)
    for phase, lines in MEANS.items()
    for text in lines.replace("\n", "|").split("|")
    if text.strip()
]


@pytest.mark.parametrize("description, phase", TABLE)
def test_what_descriptions_mean(description, phase):
    assert sorted(match_description(description, PhaseRules())) == ([phase] if phase else [])


def test_several_phases_in_one_description_are_seen():
    for text, phases in {
        "PRE-CONTRAST ARTERIAL": ["arterial", "non_contrast"],
        "nativ/art": ["arterial", "non_contrast"],
        "AP DELAY 3MIN": ["arterial", "delayed"],
        "动脉期+延迟期": ["arterial", "delayed"],
    }.items():
        assert sorted(match_description(text, PhaseRules())) == phases, text


def test_the_reason_is_told():
    assert with_and_without("ABD W/O & W CONTRAST").startswith("with and without contrast")
    assert none_of_the_phases("PVP 70s").startswith("the portal venous phase")
    assert none_of_the_phases("SCOUT AP") == "a scout" and not none_of_the_phases("ART")
