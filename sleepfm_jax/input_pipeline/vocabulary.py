"""The words of channel labels and what they mean, in the order in which one outweighs another.

English, German, French, Spanish, Portuguese, Italian and Dutch, without accents; words are
understood when cut short, run together or slightly misspelled (see `channels`).
"""

from dataclasses import dataclass

from sleepfm_jax.input_pipeline.modality import Modality


@dataclass(frozen=True)
class Meaning:
    """What a group of words says about a channel.

    Args:
        says: the meaning in words, for the reason shown to the user.
        modality: the modality it decides for, or None where it is none of the four.
        words: the words that carry the meaning.
        site: where on the body or what of it is measured, the canonical name.
    """

    says: str
    modality: Modality | None
    words: tuple[str, ...]
    site: str | None = None


def _none(says: str, words: str) -> Meaning:
    return Meaning(says, None, tuple(words.split()))


def _breath(says: str, words: str, site: str | None = None) -> Meaning:
    return Meaning(says, Modality.RESP, tuple(words.split()), site or says)


def _muscle(site: str, words: str) -> Meaning:
    return Meaning(f"muscle tone at the {site}", Modality.EMG, tuple(words.split()), site)


def _electric(says: str, modality: Modality, words: str = "", site: str | None = None) -> Meaning:
    return Meaning(says, modality, tuple(words.split()), site)


EYE = _electric("an electrode beside the eye", Modality.BAS)
SCALP = _electric("an electrode of the EEG", Modality.BAS)

# Of all the meanings in a label the first of this list decides: an impedance is one whatever the
# electrode, a heart rate is one though it comes from the ECG, and "EEG" is written before anything.
MEANINGS: tuple[Meaning, ...] = (
    _none("an electrode's impedance", "imp impedance impedanz impedancia impedenza"),
    _none("an unused or ground input", "unused unknown empty blank none gnd ground"),
    _none(
        "the state or quality of a sensor",
        "status stat state oxstatus oxstat quality qualitat qualite calidad sqi confidence alarm"
        " error artifact artefact leadoff off",
    ),
    _none(
        "a mark or event, not a signal",
        "annotation annotations event events ereignis evento evenement marker markers marqueur"
        " marcador mark mkr trigger trig ttl sti stim stimulus sync button photic tag video clock"
        " time timestamp counter",
    ),
    _none(
        "scoring stored as a signal",
        "hypnogram hypnogramm hypno hypnogramme hipnograma stage stages staging schlafstadien"
        " schlafstadium stadium stade stades scoring score scored epoch arousal arousals"
        " apnea apnoea apnee hypopnea hypopnoea desaturation desat spindle spindles complex ahi odi"
        " cyclic rem",
    ),
    _none(
        "the body's position",
        "position pos posangle bodypos bodyposition posture positie positiongram lage korperlage"
        " korperposition posicion posizione posicao ligging houding lichaamspositie stillingen"
        " elevation axis axe axes angle tilt roll pitch inclination orientation xpos ypos zpos",
    ),
    _none("light in the room", "light lights licht lux luz lumiere luce lamp ambient illuminance"),
    _none("the recorder's supply", "battery batt batterie bateria batteria akku voltage power"),
    _none("temperature, humidity or acidity", "humidity ph rectal rektal room"),
    _none(
        "a measure of the PAP device",
        "leak leakage leck fuite fuga tidal tidvol vt minvent fio2 set setting settings backup",
    ),
    _none(
        "a trend or another measure that is none of the four",
        "blood bp abp nibp bpsys bpdia sv gsr eda glucose conductance sweat hrv trend delta alpha"
        " theta sigma burst bursts suppr",
    ),
    _breath(
        "carbon dioxide",
        "co2 etco2 tcco2 tcpco2 ptcco2 petco2 pco2 tco2 capno capnography capnograph capnogram"
        " capnometer capnometry capno2 endtidal etc02 kapnographie",
    ),
    _breath("respiratory rate", "edr resprate rrate atemfrequenz"),
    _breath(
        "plethysmogram",
        "pleth plethwv plethwave plethysmo plethysmogram plethysmogramm plethysmographie ppg"
        " plethysmography pletismografia pletysmogram photopleth plethysmograph pulsewave pwave"
        " waveform pwa ptt infrared",
    ),
    _breath(
        "snoring",
        "snore snor snoring snores nasalsn snr snorflow schnarchen schnarch schnarcher ronflement"
        " ronflements ronfl ronquido ronquidos ronco roncos russamento snurk snurken snarken"
        " snarkning mic micro microphone mikrofon mikro microfono microfoon phono sound audio"
        " trachea tracheal throat db decibel son suono gerausch",
    ),
    _breath(
        "oxygen saturation",
        "spo2 sao2 so2 sat osat satur saturation sattigung saturacion saturazione saturatie"
        " saturacao oximetry oximeter oximetrie oximetria ossimetria oxymetry oxymetrie pulseox"
        " pulsox pulsoximetrie pulsoximeter satur tcpo2 tcspo2 ox",
    ),
    _breath(
        "heart rate",
        "hr dhr pr rr hrate heart heartrate herzfrequenz herzrate herz cardiaque cardiaca"
        " hartslag hartfrequentie beat bpm ibi puls pulse pulso polso pouls pulsrate pulserate"
        " pulsfrequenz rate",
    ),
    _electric(
        "the electrocardiogram",
        Modality.EKG,
        "ecg ekg electrocardiogram electrocardiogramme elektrokardiogramm electrocardiograma"
        " elettrocardiogramma kardiogramm cardiogram cardio",
    ),
    _electric("an electromyogram", Modality.EMG, "emg emgdi edi elektromyogramm electromyogram"),
    _none("an input that does not say what was connected", "input inputs external"),
    _electric("the electro-oculogram", Modality.BAS, "eog elektrookulogramm electrooculogram"),
    _none(
        "movement of the body",
        "acc accel accelero accelerometer accelerometry actigraphy actigraph actimetry actimeter"
        " aktigraphie actigraphie activity aktivitat activite actividad attivita gravity imu gyro"
        " gyroscope",
    ),
    _muscle(
        "chin",
        "chin kinn kin chins submental submentalis subment subm mentalis mental ment menton mento"
        " mentonnier barbilla queixo jaw mylohyoid milo digastric genioglossus cchin",
    ),
    _muscle(
        "leg",
        "leg legs tib tibial tibialis lat rat plm plms plml plmr ta at lta rta tibant jambe jambes"
        " bein beine pierna piernas gamba gambe been perna foot feet ankle calf edb gastroc toe"
        " gastrocnemius soleus peroneal quad quadriceps thigh hamstring",
    ),
    _muscle(
        "arm",
        "arm arms fds edc fdi deltoid delt deltoide biceps bicep triceps forearm wrist extensor ext"
        " flexor flex bras brazo braccio unterarm hand brachioradialis",
    ),
    _muscle("ribs", "intercostal intercost inter ic ric lic"),
    _muscle("diaphragm", "diaphragm diaph dia diaphragma diaphragme"),
    _muscle(
        "face and neck",
        "masseter massater masset mass temporalis scm sternocleido sternocleidomastoid scalene"
        " scalenus neck nacken trap trapezius shoulder should frontalis orbicularis corrugator"
        " zygomaticus cheek facial muscle kaumuskel",
    ),
    _none(
        "movement of the body",
        "movement movements mvt mvmt motion bewegung mouvement movimiento movimento vibration",
    ),
    _breath("oesophageal pressure", "eso pes poes esoph esophageal oesophageal oesophagus esopres"),
    _breath(
        "thermal airflow",
        "therm thermal thermistor thermister thermocouple thermo termistore termistor thermisto"
        " thermistance thermist tcouple tflow ontherm thermoelement",
    ),
    _breath(
        "nasal pressure",
        "ptaf cannula canula kanule canule canulla lunettes staudruck nprs npress npres naf nafm np"
        " naspres pflow pflo pnasal transducer npf",
    ),
    _breath("flow of the PAP device", "cflow papflow cpapflow maskflow deviceflow patflow"),
    _breath(
        "airflow",
        "airflow airflo air flow flo fluss atemfluss nasenfluss luftfluss neusflow flusso flujo"
        " flux fluxo debit xflow flowpatient",
    ),
    _none(
        "pressure or settings of the PAP device",
        "cpap pap bpap bipap apap xpap epap ipap mask maske masque cpress cpres cpressure device"
        " treatment ventilator vent",
    ),
    _breath(
        "nasal pressure",
        "nasal nas nasale nasaal nasen nase neus naso nez nariz nasor nasalor nasalp naspress"
        " pressure pressur press pres pressflow pression presion pressione pressao druck",
    ),
    _breath("oral airflow", "oral oronasal nasooral mouth mund bouche boca bocca mond"),
    _breath(
        "thorax",
        "thorax thor tho thora thoracic thoracique thoracico toracico toracica torace torax thx"
        " thrx trx vth chest brust brustkorb borst ribcage rib ribs brost poitrine pecho"
        " petto",
    ),
    _breath(
        "abdomen",
        "abdomen abd abdo abdom abdm abdominal abdominale addome addominale addom vab bauch buik"
        " belly mage ventre",
    ),
    _breath("sum of both efforts", "sum xsum summe somme suma somma phase phasenwinkel"),
    _breath(
        "breathing",
        "rip effort efforts belt belts resp res respiration respiratory respiracion respirazione"
        " respiro respitrace respband breath breathing atmung atem atemanstrengung ademhaling"
        " inductance sforzo esfuerzo esforco anstrengung sangle ceinture banda cinta gurt"
        " brustgurt bauchgurt piezo bewegungsgurt",
    ),
    _none(
        "temperature, humidity or acidity",
        "temp temperature temperatur temperatura skin core",
    ),
    _breath("oxygen saturation", "masimo nonin sentec tosca"),
    _breath("plethysmogram", "pat"),
    _electric("a lead of the electrocardiogram", Modality.EKG, "ii iii avr avl avf mlii mli mliii"),
    _electric("a lead of the electrocardiogram", Modality.EKG, "v1 v2 v3 v4 v5 v6 lead"),
    _electric(
        "an electrode beside the left eye",
        Modality.BAS,
        "loc leog eogl lefteye lio lue luo luc llc lou lol pg1",
        "E1",
    ),
    _electric(
        "an electrode beside the right eye",
        Modality.BAS,
        "roc reog eogr righteye rso rue ruo ruc rlc rou rol pg2",
        "E2",
    ),
    _electric("the horizontal electro-oculogram", Modality.BAS, "heog eogh heogl heogr", "HEOG"),
    _electric("the vertical electro-oculogram", Modality.BAS, "veog eogv", "VEOG"),
    _electric("the eyes", Modality.BAS, "eye eyes auge augen oeil yeux ojo ojos occhio occhi oog"),
    EYE,
    SCALP,
    _electric("a reference electrode", Modality.BAS, "mastoid mastoids mast", "mastoid"),
    _none("an input that does not say what was connected", "dc aux auxiliary spare"),
    _electric("an electroencephalogram", Modality.BAS, "eeg electroencephalogram headband"),
    _electric(
        "a region of the scalp",
        Modality.BAS,
        "frontal central occipital parietal temporal vertex frontopolar",
    ),
)

# Words that say nothing about the modality and may stand anywhere.
_NEUTRAL = (
    "new neu nouveau raw cal calibrated ch channel sensor signal sec second psg wave sw amp volume"
    " ac hf uv mv v hz lpm sig pol patient left right l r cs ctr sup inf upper lower horizontal"
    " vertical"
)
NEUTRAL = frozenset(_NEUTRAL.split())

SIDES = {
    "left": "l left li lt links gauche gche izq izquierda izquierdo esquerda esquerdo sin"
    " sinistra sinistro sx g",
    "right": "r right re rt rechts droite droit dte der derecha derecho direita direito dx"
    " destra destro d",
}
SIDE_OF = {word: side for side, listed in SIDES.items() for word in listed.split()}
