"""Names of countries, states and currencies, in the forms that tools compare.

Country and state names are written in small English letters without spaces, as
``hashing.compact`` leaves them; codes are those of ISO 3166-1 (two letters), ANSI INCITS 38 and
ISO 4217.
"""

from __future__ import annotations

__all__ = ["COUNTRY_CODES", "CURRENCIES", "US_STATE_CODES"]


def _words(text: str) -> list[str]:
    return text.split()


def _by_name(pairs: str) -> dict[str, str]:
    """``de=germany`` … as name → code."""
    split = (pair.split("=") for pair in _words(pairs))
    return {name: code for code, name in split}


US_STATE_CODES = _by_name("""
ak=alaska al=alabama ar=arkansas az=arizona ca=california co=colorado ct=connecticut de=delaware
fl=florida ga=georgia hi=hawaii ia=iowa id=idaho il=illinois in=indiana ks=kansas ky=kentucky
la=louisiana ma=massachusetts md=maryland me=maine mi=michigan mn=minnesota mo=missouri
ms=mississippi mt=montana nc=northcarolina nd=northdakota ne=nebraska nh=newhampshire nj=newjersey
nm=newmexico nv=nevada ny=newyork oh=ohio ok=oklahoma or=oregon pa=pennsylvania ri=rhodeisland
sc=southcarolina sd=southdakota tn=tennessee tx=texas ut=utah va=virginia vt=vermont wa=washington
wi=wisconsin wv=westvirginia wy=wyoming
""")
"""The fifty states."""

COUNTRY_CODES = _by_name("""
ad=andorra ae=unitedarabemirates af=afghanistan ag=antiguaandbarbuda ai=anguilla al=albania
am=armenia an=netherlandsantilles ao=angola aq=antarctica ar=argentina as=americansamoa at=austria
au=australia aw=aruba ax=alandislands az=azerbaijan ba=bosniaandherzegovina bb=barbados
bd=bangladesh be=belgium bf=burkinafaso bg=bulgaria bh=bahrain bi=burundi bj=benin
bl=saintbarthelemy bm=bermuda bn=bruneidarussalam bo=bolivia br=brazil bs=bahamas bt=bhutan
bv=bouvetisland bw=botswana by=belarus bz=belize ca=canada cc=cocos(keeling)islands
cd=congo,democraticrepublic cf=centralafricanrepublic cg=congo ch=switzerland ci=coted'ivoire
ck=cookislands cl=chile cm=cameroon cn=china co=colombia cr=costarica cu=cuba cv=capeverde
cx=christmasisland cy=cyprus cz=czechrepublic de=germany dj=djibouti dk=denmark dm=dominica
do=dominicanrepublic dz=algeria ec=ecuador ee=estonia eg=egypt eh=westernsahara er=eritrea
es=spain et=ethiopia fi=finland fj=fiji fk=falklandislands(malvinas)
fm=micronesia,federatedstatesof fo=faroeislands fr=france ga=gabon gb=unitedkingdom gd=grenada
ge=georgia gf=frenchguiana gg=guernsey gh=ghana gi=gibraltar gl=greenland gm=gambia gn=guinea
gp=guadeloupe gq=equatorialguinea gr=greece gs=southgeorgiaandsandwichisl. gt=guatemala gu=guam
gw=guinea-bissau gy=guyana hk=hongkong hm=heardisland&mcdonaldislands hn=honduras hr=croatia
ht=haiti hu=hungary id=indonesia ie=ireland il=israel im=isleofman in=india
io=britishindianoceanterritory iq=iraq ir=iran,islamicrepublicof is=iceland it=italy je=jersey
jm=jamaica jo=jordan jp=japan ke=kenya kg=kyrgyzstan kh=cambodia ki=kiribati km=comoros
kn=saintkittsandnevis kr=korea kw=kuwait ky=caymanislands kz=kazakhstan
la=laopeople'sdemocraticrepublic lb=lebanon lc=saintlucia li=liechtenstein lk=srilanka lr=liberia
ls=lesotho lt=lithuania lu=luxembourg lv=latvia ly=libyanarabjamahiriya ma=morocco mc=monaco
md=moldova me=montenegro mf=saintmartin mg=madagascar mh=marshallislands mk=macedonia ml=mali
mm=myanmar mn=mongolia mo=macao mp=northernmarianaislands mq=martinique mr=mauritania
ms=montserrat mt=malta mu=mauritius mv=maldives mw=malawi mx=mexico my=malaysia mz=mozambique
na=namibia nc=newcaledonia ne=niger nf=norfolkisland ng=nigeria ni=nicaragua nl=netherlands
no=norway np=nepal nr=nauru nu=niue nz=newzealand om=oman pa=panama pe=peru pf=frenchpolynesia
pg=papuanewguinea ph=philippines pk=pakistan pl=poland pm=saintpierreandmiquelon pn=pitcairn
pr=puertorico ps=palestine ps=palestinianterritory,occupied pt=portugal pw=palau py=paraguay
qa=qatar re=reunion ro=romania rs=serbia ru=russianfederation rw=rwanda sa=saudiarabia
sb=solomonislands sc=seychelles sd=sudan se=sweden sg=singapore sh=sainthelena si=slovenia
sj=svalbardandjanmayen sk=slovakia sl=sierraleone sm=sanmarino sn=senegal so=somalia sr=suriname
st=saotomeandprincipe sv=elsalvador sy=syrianarabrepublic sz=swaziland tc=turksandcaicosislands
td=chad tf=frenchsouthernterritories tg=togo th=thailand tj=tajikistan tk=tokelau tl=timor-leste
tm=turkmenistan tn=tunisia to=tonga tr=turkey tt=trinidadandtobago tv=tuvalu tw=taiwan tz=tanzania
ua=ukraine ug=uganda um=unitedstatesoutlyingislands us=unitedstates uy=uruguay uz=uzbekistan
va=holysee(vaticancitystate) vc=saintvincentandgrenadines ve=venezuela vg=virginislands,british
vi=virginislands,u.s. vn=vietnam vu=vanuatu wf=wallisandfutuna ws=samoa ye=yemen yt=mayotte
za=southafrica zm=zambia zw=zimbabwe
""")

CURRENCIES = frozenset(
    _words("""
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP
BYN BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB
EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD
JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU
MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD
RUB RWF SAR SBD SCR SDG SEK SGD SHP SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD
TWD TZS UAH UGX USD USN UYI UYU UYW UZS VES VND VUV WST XAF XAG XAU XBA XBB XBC XBD XCD XDR XOF
XPD XPF XPT XSU XTS XUA XXX YER ZAR ZMW ZWC
""")
)
"""Currencies, funds and metals of ISO 4217."""
