// A decision and its neighbourhood
// A transaction, what it links to, the rings of these and, but for hubs, their other users. Put the transaction's id between the quotes.
WITH 'transaction' AS id
MATCH p = (:Transaction {id: id})--(e)
CALL (e) {
  OPTIONAL MATCH q = (e)-[:MEMBER_OF]->(:Ring)<-[:MEMBER_OF]-() RETURN q LIMIT 100
  UNION
  OPTIONAL MATCH q = (e)<--(:User) WHERE e.transactions < 1000 AND NOT e:Restaurant RETURN q LIMIT 25
}
RETURN p, q
