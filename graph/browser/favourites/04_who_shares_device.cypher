// Who shares this device
// Its users, those with known fraud and the latest first, and their rings. Put the device's id between the quotes.
WITH 'device' AS id
MATCH (device:Device {id: id})<-[uses:USES]-(user:User)
WITH device, uses, user ORDER BY uses.fraud_known DESC, uses.last_at DESC LIMIT 60
OPTIONAL MATCH p = (user)-[:MEMBER_OF]->(:Ring)
RETURN device, uses, user, p
