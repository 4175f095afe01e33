// Ring overview: the riskiest rings
// The ten most suspicious rings of the latest refresh that nobody has judged, with their members.
MATCH (ring:Ring) WHERE ring.active AND NOT ring:Confirmed AND NOT ring:Dismissed
WITH ring ORDER BY ring.score DESC LIMIT 10
CALL (ring) {
  MATCH p = (ring)<-[m:MEMBER_OF]-()
  RETURN p ORDER BY m.transactions DESC LIMIT 25
}
RETURN p
