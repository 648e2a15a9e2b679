"""When callbacks are compared with what is registered; bulk changes."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('psa', '0014_ticket_sighting'),
    ]

    operations = [
        migrations.AddField(
            model_name='callbacksubscription',
            name='next_check_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='connection',
            name='bulk_change',
            field=models.JSONField(blank=True, null=True),
        ),
    ]
