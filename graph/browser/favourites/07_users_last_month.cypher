// A user's last month
// The latest 50 transactions of the 30 days before the user's last one, and what they link to. Put the user's id between the quotes.
WITH 'user' AS id
MATCH (user:User {id: id})-[made:MADE]->(t:Transaction) WHERE t.occurred_at > user.last_at - duration('P30D')
WITH user, made, t ORDER BY t.occurred_at DESC LIMIT 50
OPTIONAL MATCH p = (t)-->()
RETURN user, made, t, p
