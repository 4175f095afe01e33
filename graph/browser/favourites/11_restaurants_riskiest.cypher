// A restaurant's riskiest payers
// Its users with most known fraud there and the largest sums, their devices and rings. Put the restaurant's id between the quotes.
WITH 'restaurant' AS id
MATCH (restaurant:Restaurant {id: id})<-[dines:DINES_AT]-(user:User)
WITH restaurant, dines, user ORDER BY dines.fraud_known DESC, dines.amount DESC LIMIT 30
CALL (user) {
  OPTIONAL MATCH p = (user)-[uses:USES]->(:Device) RETURN p ORDER BY uses.transactions DESC LIMIT 3
  UNION
  OPTIONAL MATCH p = (user)-[:MEMBER_OF]->(:Ring) RETURN p LIMIT 3
}
RETURN restaurant, dines, user, p
