// Users like this one
// The 20 users whose behaviour and links the model finds most similar, their rings, and what they share with the user. Put the user's id between the quotes.
WITH 'user' AS id
MATCH (user:User {id: id}) WHERE user.embedding IS NOT NULL
CALL db.index.vector.queryNodes('quipu_user_embedding', 100, user.embedding) YIELD node AS alike, score
WITH user, alike, score WHERE alike <> user
ORDER BY score DESC LIMIT 20
OPTIONAL MATCH p = (alike)-[:MEMBER_OF]->(:Ring)
OPTIONAL MATCH q = (alike)-[:USES|CONNECTS_FROM]->(shared)<-[:USES|CONNECTS_FROM]-(user) WHERE shared.transactions < 1000
RETURN user, alike, score, p, q
