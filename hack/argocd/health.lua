-- The health of a MailDomain or DNSZone for Argo CD (docs/gitops.md). A routine rollover is Healthy.
local health = {status = "Progressing", message = "the operator has not looked at it yet"}
if obj.metadata.deletionTimestamp ~= nil then
  health.message = "the records are taken out, and caches waited for"
end
local status = obj.status
if status == nil or status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  return health
end
local by = {}
for _, condition in ipairs(status.conditions) do
  by[condition.type] = condition
end
local function says(condition)
  return condition.reason .. ": " .. (condition.message or "")
end
local stalled, ready, rollover = by["Stalled"], by["Ready"], by["RolloverInProgress"]
if stalled ~= nil and stalled.status == "True" then
  return {status = "Degraded", message = says(stalled)}
end
if obj.metadata.deletionTimestamp ~= nil or ready == nil then
  return health
end
if ready.status == "True" then
  if ready.reason == "Suspended" then
    return {status = "Suspended", message = says(ready)}
  end
  if rollover ~= nil and rollover.status == "True" then
    return {status = "Healthy", message = "a key is changing, " .. says(rollover)}
  end
  return {status = "Healthy", message = says(ready)}
end
-- These end by themselves.
local waiting = {
  Unknown = true, WaitingForServers = true, WaitingForCertificate = true, WaitingForDNSSEC = true, Propagating = true,
}
if ready.status == "Unknown" or waiting[ready.reason] then
  return {status = "Progressing", message = says(ready)}
end
return {status = "Degraded", message = says(ready)}
