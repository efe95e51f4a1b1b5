// Two identities. The app's is user-assigned, so that it exists, and has its roles, before the app first starts, and can be
// made a Dataverse application user beforehand. Capture has its own, so that the app need not be able to write the raw events
// it may be judged by.

param name string
param location string
param tags object

resource app 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-${name}'
  location: location
  tags: tags
}

resource capture 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-${name}-capture'
  location: location
  tags: tags
}

output appId string = app.id
output appClientId string = app.properties.clientId
output appPrincipalId string = app.properties.principalId
output captureId string = capture.id
output capturePrincipalId string = capture.properties.principalId
