"""Expired leases, and the deliveries of one connection, found by an index alone."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('psa', '0015_callback_checks'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='ticketlink',
            name='psa_ticket_link_leased',
        ),
        migrations.AlterField(
            model_name='delivery',
            name='connection',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='deliveries', to='psa.connection'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['connection', 'tenant', '-id'], name='psa_delivery_by_connection'),
        ),
        migrations.AddIndex(
            model_name='ticketlink',
            index=models.Index(condition=models.Q(('lease_expires_at__isnull', False)), fields=['lease_expires_at'], name='psa_ticket_link_by_lease'),
        ),
    ]
