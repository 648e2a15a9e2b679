"""The lane of the ticket another one was merged into."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("psa", "0009_attempt_total")]

    operations = [
        migrations.AddField(
            model_name="ticketlink",
            name="merged_into",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="merged_here",
                to="psa.ticketlink",
            ),
        ),
    ]
