"""The words of channel labels and what they mean, in the order in which one outweighs another.

English, German, French, Spanish, Portuguese, Italian, Dutch and a few Nordic and Polish words,
without accents. Plurals, compounds, words cut short or off by a letter are understood (`parts`).
"""

from dataclasses import dataclass

from sleepfm_jax.input_pipeline.modality import Modality


@dataclass(frozen=True)
class Meaning:
    """What a group of words says about a channel.

    Args:
        says: in words, for the reason shown to the user.
        modality: the modality it decides for, or None where it is none of the four.
        words: the words that carry the meaning.
        site: where on the body, or which quantity, is measured: the canonical name, if one.
    """

    says: str
    modality: Modality | None
    words: frozenset[str]
    site: str | None = None


def _none(says: str, words: str) -> Meaning:
    return Meaning(says, None, frozenset(words.split()))


def _resp(site: str, words: str, says: str | None = None) -> Meaning:
    return Meaning(says or site, Modality.RESP, frozenset(words.split()), site)


def _emg(site: str | None, words: str) -> Meaning:
    says = f"muscles of the {site}" if site else "an electromyogram"
    return Meaning(says, Modality.EMG, frozenset(words.split()), site)


def _ekg(says: str, words: str) -> Meaning:
    return Meaning(says, Modality.EKG, frozenset(words.split()))


def _bas(says: str, words: str = "", site: str | None = None) -> Meaning:
    return Meaning(says, Modality.BAS, frozenset(words.split()), site)


# Electrodes have no list of words: `electrodes.ELECTRODE` finds them.
EYE_ELECTRODE = _bas("an electrode beside the eye")
SCALP_ELECTRODE = _bas("an electrode of the EEG")

EOG_TYPE = _bas("the electro-oculogram", "eog elektrookulogramm electrooculogram", "EOG")
EYE_WORDS = _bas(
    "the eyes", "eye eyes canthus auge augen oeil yeux ojo ojos occhio occhi oog ogen", "EOG"
)

PAP_FLOW = _resp("flow of the PAP device", "cflow papflow cpapflow maskflow deviceflow patflow")
PAP_DEVICE = _none(
    "pressure or settings of the PAP device",
    """cpap pap bpap bipap apap xpap epap ipap ppc mask maske masque pmask cpress cpres
    cpressure device treatment ventilator""",
)

# Of all the meanings in a label the first of this list decides: an impedance is one whatever the
# electrode, a heart rate is one though taken from the ECG, "EEG" may be written before anything.
MEANINGS: tuple[Meaning, ...] = (
    _none("an electrode's impedance", "imp impedance impedanz impedancia impedenza impedanza"),
    _none("an unused input", "unused unknown empty blank none"),
    _none(
        "the state or quality of a sensor",
        """status stat state oxstat quality qualitat qualite calidad sqi confidence alarm error
        artifact artefact off""",
    ),
    _none(
        "a mark or event, not a signal",
        """annotation event ereignis evento evenement marker marqueur marcador mark mkr trigger trig
        ttl sti stim stimulus sync button photic tag video clock time timestamp counter""",
    ),
    _none(
        "scoring stored as a signal",
        """hypnogram hypno hipnograma stage staging schlafstadien schlafstadium stadium stade stades
        scoring score epoch arousal apnea apnoea apnee apnoe hypopnea hypopnoea desaturation desat
        spindle complex cyclic rem""",
    ),
    _none(
        "the body's position",
        """position pos posture positie lage posicion posizione posicao ligging houding
        lichaamshouding stillingen body corps korper corporal corpo elevation axis axe axes angle
        tilt roll pitch inclination orientation xpos ypos zpos heading""",
    ),
    _none(
        "light in the room",
        "light licht lux luz lumiere luce lamp ambient illuminance",
    ),
    _none(
        "the recorder's supply", "battery batt batterie bateria batteria akku voltage power supply"
    ),
    _none(
        "temperature, humidity or acidity",
        "humidity luftfeuchte atm atmospheric barometer barometric ph rectal rektal room",
    ),
    _none(
        "a setting or measure of the PAP device",
        """leak leakage leck leckage fuite fuga tidal tidvol vt minvent fio2 vent ventilation
        set setting backup""",
    ),
    _none(
        "a trend or another measure that is none of the four",
        """blood bp abp nibp bpsys bpdia sv gsr eda glucose conductance output stroke sweat hrv
        trend delta alpha theta sigma burst suppr""",
    ),
    # What is measured by a sensor of its own, wherever it sits: "Finger PPG", "ECG HR".
    _resp(
        "carbon dioxide",
        """co2 etco2 co2et tcco2 tcpco2 ptcco2 petco2 pco2 tco2 capno cap endtidal transcutaneous
        etc02 etc2 kapnographie""",
    ),
    _resp("respiratory rate", "edr resprate rrate atemfrequenz"),
    _resp(
        "plethysmogram",
        """pleth plethysmo plethysmogram plesmo plethysmograph pletismografia pletysmogram
        photopleth ppg pulsewave pwave waveform pulswelle pwa ptt bvp oxy arterial infrared""",
    ),
    _resp(
        "snoring",
        """snore snor snoring nasalsn snr schnarchen schnarch schnarcher ronflement ronfl ronquido
        ronco russamento snurk snurken snarken snorken snarkning mic micro mikrofon mikro phono
        sound audio trachea throat db decibel ton son suono gerausch""",
        "snoring or sound",
    ),
    _resp(
        "oxygen saturation",
        """spo2 sao2 pao2 so2 so02 sat osat satur saturation sattigung oximetry oximeter oxymeter
        oximetrie oximetria ossimetria oxymetry oxymetrie pulseox pulsox pulsoxy pulsoximetrie tcpo2
        tcspo2 ox oxi oxygen zuurstof""",
    ),
    _resp(
        "heart rate",
        """hr dhr ihr rri cardiac pr rr fc hrate heart herzfrequenz herz cardiaque cardiaca card
        hartslag hartfrequentie tetno beat bpm ibi puls pulse pulso polso pouls pulsfrequenz
        rate""",
        "heart or pulse rate",
    ),
    _none("an index computed from scoring", "index ahi odi rdi"),
    # What the electrodes record, as the first word often says.
    _ekg(
        "the electrocardiogram",
        """ecg ekg electrocardiogram elektrokardiogramm elettrocardiogramma kardiogramm cardiogram
        cardio""",
    ),
    _emg(None, "emg semg demg emgdi edi electromyogram elektromyogramm"),
    EOG_TYPE,
    _none("an input that does not say what was connected", "input external analog digital"),
    _none(
        "movement of the body",
        """acc accel accelero actigraphy actigraph actimetry actimeter aktigraphie activity
        aktivitat activite actividad attivita gravity grav imu gyro gyroscope""",
    ),
    _emg(
        "chin",
        """chin chins kinn kin submental submentalis subment subm submentoniano mentalis mental ment
        menton mento mentonnier barbilla queixo haka hake hage jaw mylohyoid milo digastric
        genioglossus tongue""",
    ),
    _emg(
        "leg",
        """leg legs limb limbs tib tibial tibialis tibiale lat rat plm plms plml plmr ta at lta rta
        tibant jamb jambe bein beine pierna gamba gambe been perna foot feet ankle calf edb gastroc
        soleus peroneal quad quadriceps thigh hamstring toe""",
    ),
    _emg(
        "arm",
        """arm arms fds edc fdi deltoid delt biceps bicep triceps forearm wrist extensor ext flexor
        flex bras brazo braccio unterarm hand brachioradialis""",
    ),
    _emg("ribs", "intercostal intercost ic ric lic"),
    _emg("diaphragm", "diaphragm diaph dia"),
    _emg(
        "face and neck",
        """masseter massater masset mass temporalis scm sternocleido scalene scalenus neck nacken
        trap trapezius shoulder should frontalis orbicularis oris corrugator alae paraspinal
        zygomaticus buccinator cheek facial muscle kaumuskel""",
    ),
    _resp(
        "oesophageal pressure",
        "eso pes poes esoph esophageal oesophageal oesophagus pesoph",
        "pressure in the oesophagus",
    ),
    _resp(
        "thermal airflow",
        """therm thermal thermistor thermister thermocouple thermo termistore termistor thermistance
        tcouple thrm tflow ontherm""",
        "airflow at a thermistor or thermocouple",
    ),
    _resp(
        "nasal pressure",
        """ptaf cannula canula kanule canule canulla lunettes staudruck nprs npress npres naf nafm
        np npt nflow naspres pflow pnasal transducer npf""",
        "airflow at a nasal cannula",
    ),
    PAP_FLOW,
    _resp(
        "airflow",
        """airflow air flow flo fluss flusso flujo luft flux fluxo flode przeplyw debit debito xflow
        flattening pneumo pneumotach""",
    ),
    PAP_DEVICE,
    _resp(
        "nasal pressure",
        """nasal nas nasale nasaal nasen nase naese neus naso nez nariz nasor pressure press pres
        pressflow pression presion pressione pressao druck neusdruk""",
        "airflow at the nose",
    ),
    _resp("oral airflow", "oral oronasal nasooral buc mouth mund bouche boca bocca mond"),
    _resp(
        "thorax",
        """thorax thor tho thora thoracic thoracique thoracico toracico toracica torace torax thx
        chst thrx trx vth chest brust brustkorb brost borst ribcage rib ribs poitrine pecho
        petto""",
        "breathing effort at the thorax",
    ),
    _resp(
        "abdomen",
        """abdomen abd abdo abdom abdm abdmn abdominal abdominale addome addominale addom vab bauch
        buik buk belly mage ventre""",
        "breathing effort at the abdomen",
    ),
    _resp(
        "sum of both",
        "sum xsum summe somme suma somma phase paradox",
        "thorax and abdomen together",
    ),
    _resp(
        "breathing",
        """rip effort eff belt belts band resp res respiration respiratory respirazione respn
        respiro respitrace breath breathing andning oddech atmung atem ademhaling inductance sforzo
        esfuerzo esforco anstrengung sangle ceinture banda cinta gurt piezo""",
    ),
    _none(
        "movement of the body",
        "movement mvt mvmt motion bewegung mouvement movimiento movimento vibration",
    ),
    _none(
        "temperature, humidity or acidity",
        "temp temperature temperatur temperatura skin core",
    ),
    _resp("oxygen saturation", "masimo nonin nellcor sentec tosca"),
    _resp("plethysmogram", "pat"),
    _ekg("a lead of the electrocardiogram", "ii iii avr avl avf v1 v2 v3 v4 v5 v6 mlii mli lead"),
    # Electrodes at the eyes, at the scalp, at the ears.
    _bas(
        "an electrode beside the left eye",
        "loc leog eogl lefteye lio lue luo luc llc lou lol pg1",
        "E1",
    ),
    _bas(
        "an electrode beside the right eye",
        "roc reog eogr righteye rso rue ruo ruc rlc rou rol pg2",
        "E2",
    ),
    _bas("the horizontal electro-oculogram", "heog eogh", "HEOG"),
    _bas("the vertical electro-oculogram", "veog eogv", "VEOG"),
    EYE_WORDS,
    EYE_ELECTRODE,
    SCALP_ELECTRODE,
    _bas("a reference electrode", "mastoid mastoids mast lm rm", "mastoid"),
    _none(
        "an input that does not say what was connected", "dc aux auxiliary spare gnd ground test"
    ),
    _bas("an electroencephalogram", "eeg electroencephalogram headband"),
    _bas(
        "a region of the scalp",
        "frontal central occipital parietal temporal frontopolar",
    ),
)

# Words that say nothing about the modality and may stand anywhere.
_NEUTRAL = """
    new neu nouveau mod single double inter interval surface raw filtered cal calibrated ch channel
    chan sensor signal sec second psg exg wave sw amp volume ac hf uv mv v hz lpm sig pol patient
    cs ctr sup inf upper lower outer inner finger horizontal vertical"""
NEUTRAL = frozenset(_NEUTRAL.split())

_SIDES = {
    "left": """l left li lt links gauche gche izq izquierda izquierdo esquerda esquerdo sin sinistra
    sinistro sx g lat lta plml""",
    "right": """r right re rt rechts droite droit dte der derecha derecho direita direito dx destra
    destro d rat rta plmr""",
}
SIDE_OF = {word: side for side, listed in _SIDES.items() for word in listed.split()}
