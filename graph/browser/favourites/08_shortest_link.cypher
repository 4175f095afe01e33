// Shortest link between two users
// What joins two users: rings, shared devices, addresses and the like, but none with 1,000 transactions or more, which join anybody. Put the users' ids between the quotes.
WITH 'user' AS one, 'other' AS another
MATCH (a:User {id: one}), (b:User {id: another})
MATCH p = allShortestPaths((a)-[:USES|CONNECTS_FROM|MEMBER_OF*..6]-(b))
WHERE all(n IN nodes(p) WHERE n:User OR n:Ring OR n.transactions < 1000)
RETURN p LIMIT 20
