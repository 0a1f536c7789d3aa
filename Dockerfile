# The package on the Functions host's own image, for Container Apps or a cluster: the same files that the zip holds.
#
#     cargo xtask package
#     docker build --tag offpeak .
#
# A deployment names the image below by its digest; the tag keeps to one major version of the host.
FROM mcr.microsoft.com/azure-functions/base:4

ENV AzureWebJobsScriptRoot=/home/site/wwwroot \
    AzureFunctionsJobHost__Logging__Console__IsEnabled=true \
    FUNCTIONS_WORKER_RUNTIME=custom \
    ASPNETCORE_URLS=http://+:8080

COPY target/package/app/ /home/site/wwwroot/

# A port that needs no privilege, and the account that .NET images have for their app.
EXPOSE 8080
USER 1654
