// Accounts opened on a device after its first fraud
// The device's first known fraud, and users whose very first payment came after it. Put the device's id between the quotes.
WITH 'device' AS id
MATCH (device:Device {id: id})
CALL (device) {
  MATCH (device)<-[on:ON_DEVICE]-(fraud:Fraud)
  RETURN on, fraud ORDER BY fraud.occurred_at LIMIT 1
}
MATCH by = (:User)-[:MADE]->(fraud)
OPTIONAL MATCH (device)<-[uses:USES]-(later:User) WHERE later.first_at > fraud.occurred_at
WITH device, on, fraud, by, uses, later ORDER BY later.first_at LIMIT 60
RETURN device, on, fraud, by, uses, later
