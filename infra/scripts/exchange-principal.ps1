# What both Exchange scripts need; dot-sourced, never run by itself.

function Assert-ExchangeConnection {
    if (-not (Get-Command -Name New-ServicePrincipal -ErrorAction SilentlyContinue)) {
        throw 'Exchange Online is not connected. Run Connect-ExchangeOnline first, as an Exchange administrator.'
    }
}

# Exchange's reference to the application, or nothing. Get-ServicePrincipal with an -Identity that is not there answers
# all of them (Microsoft Learn, Get-ServicePrincipal), so that the list is looked through.
function Find-Principal([guid] $AppId, [guid] $ObjectId) {
    $found = @(Get-ServicePrincipal | Where-Object { "$($_.AppId)" -eq "$AppId" })
    if ($found.Count -eq 0) { return }
    if ("$($found[0].ObjectId)" -ne "$ObjectId") {
        throw "Exchange knows application $AppId by the object id $($found[0].ObjectId), not $ObjectId. The right one is that of the enterprise application, not of the app registration. If Exchange has the wrong one: Remove-ServicePrincipal -Identity $($found[0].ObjectId), then run this again."
    }
    $found[0]
}
