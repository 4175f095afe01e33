// Who uses this address
// Its users, those with known fraud and the latest first, and their rings. Put the address between the quotes.
WITH 'ip' AS id
MATCH (ip:IP {id: id})<-[from:CONNECTS_FROM]-(user:User)
WITH ip, from, user ORDER BY from.fraud_known DESC, from.last_at DESC LIMIT 60
OPTIONAL MATCH p = (user)-[:MEMBER_OF]->(:Ring)
RETURN ip, from, user, p
