// What changed since yesterday
// Who came into a ring, and what was blocked, in the day before the newest transaction. P7D is a week.
WITH duration('P1D') AS back
CALL () {
  MATCH (t:Transaction) WHERE t.occurred_at IS NOT NULL
  RETURN t.occurred_at AS newest ORDER BY t.occurred_at DESC LIMIT 1
}
WITH newest - back AS since
CALL (since) {
  MATCH p = (ring:Ring)<-[m:MEMBER_OF]-() WHERE ring.active AND m.since > since
  RETURN p ORDER BY ring.score DESC LIMIT 100
  UNION
  MATCH (t:Transaction) WHERE t.occurred_at > since AND t:Blocked
  WITH t ORDER BY t.occurred_at DESC LIMIT 40
  MATCH p = (:User)-[:MADE]->(t)-[:ON_DEVICE]->(:Device)
  RETURN p
}
RETURN p
